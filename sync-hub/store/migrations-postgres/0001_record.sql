-- What a hub holds, in PostgreSQL: the tables of edge-agent/store/migrations, in the schema `lamplight`.
-- Sealed with the hub's store key: scope keys, documents, bindings, ticks. Payloads are sealed by their authors. In the
-- clear: ids, types, times, sizes, who takes part in what.

CREATE TABLE chains (
    id        bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    scope     bytea  NOT NULL CHECK (length(scope) = 16),
    author    bytea  NOT NULL CHECK (length(author) = 32),
    run       bytea  NOT NULL CHECK (length(run) = 8),
    next      bigint NOT NULL DEFAULT 0 CHECK (next >= 0),
    head_hash bytea  NOT NULL CHECK (length(head_hash) = 32),
    arrival   bigint NOT NULL DEFAULT 0,
    hlc       bytea  NOT NULL,
    continued bigint NOT NULL DEFAULT 0 CHECK (continued >= 0),
    UNIQUE (scope, author, run)
);
CREATE INDEX chains_by_author ON chains (author);

CREATE TABLE entries (
    arrival     bigint   PRIMARY KEY,
    chain       bigint   NOT NULL REFERENCES chains (id),
    seq         bigint   NOT NULL CHECK (seq >= 0),
    at          bigint   NOT NULL,
    state       text     NOT NULL CHECK (state IN
                ('wanted', 'absent', 'waiting', 'done', 'dead', 'quarantined', 'shed', 'dropped', 'erased')),
    kind        integer  NOT NULL,
    priority    smallint NOT NULL,
    wall_ms     bigint   NOT NULL,
    header_hash bytea    NOT NULL CHECK (length(header_hash) = 32),
    signature   bytea    CHECK (length(signature) = 64),
    header      bytea    NOT NULL,
    UNIQUE (chain, seq)
);
CREATE INDEX entries_by_state ON entries (state, chain, seq) WHERE state <> 'done';
CREATE INDEX entries_wanted ON entries (priority, wall_ms DESC, chain, seq) WHERE state = 'wanted';

CREATE TABLE payloads (
    arrival bigint PRIMARY KEY REFERENCES entries (arrival),
    payload bytea  NOT NULL
);
-- What is sealed does not compress.
ALTER TABLE payloads ALTER payload SET STORAGE EXTERNAL;

CREATE TABLE parts (
    arrival bigint PRIMARY KEY REFERENCES entries (arrival),
    bytes   bytea  NOT NULL
);
ALTER TABLE parts ALTER bytes SET STORAGE EXTERNAL;

CREATE TABLE dead_letters (
    id     bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    chain  bigint NOT NULL REFERENCES chains (id),
    seq    bigint NOT NULL,
    reason text   NOT NULL,
    UNIQUE (chain, seq)
);

CREATE TABLE scopes (
    scope   bytea PRIMARY KEY CHECK (length(scope) = 16),
    role    text CHECK (role IN ('site', 'patient', 'unassigned', 'audit')),
    creator bytea NOT NULL CHECK (length(creator) = 32),
    key_id  bigint,
    key     bytea,
    patient text COLLATE "C",
    access  bytea NOT NULL,
    CHECK ((key_id IS NULL) = (key IS NULL))
);
CREATE INDEX scopes_by_patient ON scopes (patient) WHERE patient IS NOT NULL;

-- Ids ascend by their bytes, whatever language the database speaks.
CREATE TABLE documents (
    type    text    COLLATE "C" NOT NULL,
    id      text    COLLATE "C" NOT NULL,
    scope   bytea   NOT NULL CHECK (length(scope) = 16),
    version text    NOT NULL,
    updated bytea   NOT NULL,
    shown   boolean NOT NULL,
    json    bytea   NOT NULL,
    parts   bytea   NOT NULL,
    conflicted boolean NOT NULL, -- values wait for a person's choice
    keys    bigint[] NOT NULL,   -- what it is found by, hashed
    PRIMARY KEY (type, id)
);
CREATE INDEX documents_by_scope ON documents (scope, type, id);
CREATE INDEX documents_conflicted ON documents (type, id) WHERE conflicted;
CREATE INDEX documents_by_key ON documents USING gin (keys);

CREATE TABLE bindings (
    id      bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    hlc     bytea NOT NULL,
    binding bytea NOT NULL,
    UNIQUE (hlc, binding)
);

CREATE TABLE segments (
    scope    bytea   NOT NULL CHECK (length(scope) = 16),
    chain    bigint  NOT NULL REFERENCES chains (id),
    seq      bigint  NOT NULL,
    device   text    COLLATE "C" NOT NULL,
    boot     bytea   NOT NULL CHECK (length(boot) = 12),
    waves    boolean NOT NULL,
    start_at bigint  NOT NULL,
    end_at   bigint  NOT NULL,
    next_seq bigint  NOT NULL,
    held     boolean NOT NULL,
    PRIMARY KEY (chain, seq)
);
CREATE INDEX segments_by_time ON segments (scope, waves, start_at, end_at);
CREATE INDEX segments_by_end ON segments (end_at, device, boot, waves, next_seq);
CREATE INDEX segments_oldest ON segments (waves, end_at, chain, seq) WHERE held;

CREATE TABLE masks (
    chain   bigint NOT NULL REFERENCES chains (id),
    seq     bigint NOT NULL,
    from_at bigint NOT NULL,
    to_at   bigint NOT NULL,
    PRIMARY KEY (chain, seq, from_at, to_at)
);

CREATE TABLE ticks (
    id       bigint PRIMARY KEY,
    numerics bytea,
    waves    bytea
);

CREATE TABLE receipts (
    id       bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    signer   bytea NOT NULL CHECK (length(signer) = 32),
    receiver bytea NOT NULL CHECK (length(receiver) = 32),
    receipt  bytea NOT NULL,
    UNIQUE (signer, receiver)
);

CREATE TABLE held (
    receipt bigint NOT NULL REFERENCES receipts (id),
    chain   bigint NOT NULL REFERENCES chains (id),
    next    bigint NOT NULL CHECK (next >= 0),
    gaps    bytea,
    PRIMARY KEY (receipt, chain)
);

CREATE TABLE incidents (
    id     bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    author bytea  NOT NULL CHECK (length(author) = 32),
    kind   text   NOT NULL,
    detail text   NOT NULL,
    at     bigint NOT NULL,
    closed bytea, -- by whom, when and why
    UNIQUE (author, kind, detail)
);

CREATE TABLE small_values (
    key   text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);

-- How often a hub has begun to write here: one that finds another number than its own has been overtaken. And how many
-- transactions the last one has committed: that is how it learns the end of one whose answer was lost.
CREATE TABLE writers (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch bigint  NOT NULL,
    turn  bigint  NOT NULL
) WITH (fillfactor = 10);
INSERT INTO writers (epoch, turn) VALUES (0, 0);
