-- What a replica holds: the ledger, the views made from it, and what it knows of its peers.
-- Ids are raw bytes, moments are microseconds since 1970, structures are postcard of the types in `models/record`.
-- Tables that hold blobs keep their rowid: a blob in a WITHOUT ROWID table triples its room.

CREATE TABLE chains (
    id        INTEGER PRIMARY KEY,
    scope     BLOB    NOT NULL CHECK (length(scope) = 16),
    author    BLOB    NOT NULL CHECK (length(author) = 32),
    run       BLOB    NOT NULL CHECK (length(run) = 8),
    next      INTEGER NOT NULL CHECK (next >= 0),
    head_hash BLOB    NOT NULL CHECK (length(head_hash) = 32),
    arrival   INTEGER NOT NULL, -- of its last entry, and that entry's stamp
    hlc       BLOB    NOT NULL,
    continued INTEGER NOT NULL DEFAULT 0 CHECK (continued >= 0),
    UNIQUE (scope, author, run)
) STRICT;
CREATE INDEX chains_by_author ON chains (author);

-- Rows are added and never removed; only `state` changes. Kind, priority and wall_ms repeat what the header says.
CREATE TABLE entries (
    arrival     INTEGER PRIMARY KEY,
    chain       INTEGER NOT NULL REFERENCES chains (id),
    seq         INTEGER NOT NULL CHECK (seq >= 0),
    at          INTEGER NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN
                ('wanted', 'absent', 'waiting', 'done', 'dead', 'quarantined', 'shed', 'dropped', 'erased')),
    kind        INTEGER NOT NULL,
    priority    INTEGER NOT NULL,
    wall_ms     INTEGER NOT NULL,
    header_hash BLOB    NOT NULL CHECK (length(header_hash) = 32),
    signature   BLOB    CHECK (length(signature) = 64), -- on the last entry of a stretch
    header      BLOB    NOT NULL,
    UNIQUE (chain, seq)
) STRICT;
-- Most entries are done and stand in neither.
CREATE INDEX entries_by_state ON entries (state, chain, seq) WHERE state <> 'done';
CREATE INDEX entries_wanted ON entries (priority, wall_ms DESC, chain, seq) WHERE state = 'wanted';

-- Apart from the headers, so that those are read, listed and changed in state without them.
CREATE TABLE payloads (
    arrival INTEGER PRIMARY KEY REFERENCES entries (arrival),
    payload BLOB    NOT NULL
) STRICT;

-- What has come so far of wanted payloads.
CREATE TABLE parts (
    arrival INTEGER PRIMARY KEY REFERENCES entries (arrival),
    bytes   BLOB    NOT NULL
) STRICT;

CREATE TABLE dead_letters (
    id     INTEGER PRIMARY KEY,
    chain  INTEGER NOT NULL REFERENCES chains (id),
    seq    INTEGER NOT NULL,
    reason TEXT    NOT NULL,
    UNIQUE (chain, seq)
) STRICT;

CREATE TABLE scopes (
    scope   BLOB PRIMARY KEY CHECK (length(scope) = 16),
    role    TEXT CHECK (role IN ('site', 'patient', 'unassigned', 'audit')),
    creator BLOB NOT NULL CHECK (length(creator) = 32),
    key_id  INTEGER,
    key     BLOB CHECK (length(key) = 32),
    patient TEXT,
    access  BLOB NOT NULL,
    CHECK ((key_id IS NULL) = (key IS NULL))
) STRICT;
CREATE INDEX scopes_by_patient ON scopes (patient) WHERE patient IS NOT NULL;

CREATE TABLE documents (
    rowid   INTEGER PRIMARY KEY,
    type    TEXT NOT NULL,
    id      TEXT NOT NULL,
    scope   BLOB NOT NULL CHECK (length(scope) = 16),
    version TEXT NOT NULL,
    updated BLOB NOT NULL,
    json    TEXT NOT NULL, -- empty while the document has no genesis
    parts   BLOB NOT NULL,
    conflicted INTEGER NOT NULL CHECK (conflicted IN (0, 1)), -- values wait for a person's choice
    UNIQUE (type, id)
) STRICT;
CREATE INDEX documents_by_scope ON documents (scope, type, id);
CREATE INDEX documents_conflicted ON documents (type, id) WHERE conflicted = 1;

-- What documents are found by besides their id: patients, by who may be the same person.
CREATE TABLE document_keys (
    key      INTEGER NOT NULL,
    document INTEGER NOT NULL REFERENCES documents (rowid) ON DELETE CASCADE,
    PRIMARY KEY (key, document)
) STRICT, WITHOUT ROWID;
CREATE INDEX document_keys_by_document ON document_keys (document);

CREATE TABLE bindings (
    id      INTEGER PRIMARY KEY,
    hlc     BLOB NOT NULL,
    binding BLOB NOT NULL,
    UNIQUE (hlc, binding)
) STRICT;

-- The scope stands here as well as in `chains`, so that one index answers "this patient's segments, newest first".
CREATE TABLE segments (
    id       INTEGER PRIMARY KEY,
    scope    BLOB    NOT NULL CHECK (length(scope) = 16),
    chain    INTEGER NOT NULL REFERENCES chains (id),
    seq      INTEGER NOT NULL,
    device   TEXT    NOT NULL,
    boot     BLOB    NOT NULL CHECK (length(boot) = 12),
    waves    INTEGER NOT NULL CHECK (waves IN (0, 1)),
    start_at INTEGER NOT NULL,
    end_at   INTEGER NOT NULL,
    next_seq INTEGER NOT NULL,
    held     INTEGER NOT NULL CHECK (held IN (0, 1)), -- whether the payload is here
    UNIQUE (chain, seq)
) STRICT;
CREATE INDEX segments_by_time ON segments (scope, waves, start_at, end_at);
CREATE INDEX segments_by_end ON segments (end_at, device, boot, waves, next_seq);
CREATE INDEX segments_oldest ON segments (waves, end_at, chain, seq) WHERE held = 1;

CREATE TABLE masks (
    id      INTEGER PRIMARY KEY,
    chain   INTEGER NOT NULL REFERENCES chains (id),
    seq     INTEGER NOT NULL,
    from_at INTEGER NOT NULL,
    to_at   INTEGER NOT NULL,
    UNIQUE (chain, seq, from_at, to_at)
) STRICT;

-- The unsealed tail, a tick a row. The newest row stays when it is dropped, without its bytes, so that ids are never
-- used again; AUTOINCREMENT would write one more page with each tick.
CREATE TABLE ticks (
    id       INTEGER PRIMARY KEY,
    numerics BLOB,
    waves    BLOB
) STRICT;

CREATE TABLE receipts (
    id       INTEGER PRIMARY KEY,
    signer   BLOB NOT NULL CHECK (length(signer) = 32),
    receiver BLOB NOT NULL CHECK (length(receiver) = 32),
    receipt  BLOB NOT NULL,
    UNIQUE (signer, receiver)
) STRICT;

-- What all receipts of a signer to a receiver say together.
CREATE TABLE held (
    receipt INTEGER NOT NULL REFERENCES receipts (id),
    chain   INTEGER NOT NULL REFERENCES chains (id),
    next    INTEGER NOT NULL CHECK (next >= 0),
    gaps    BLOB, -- none
    PRIMARY KEY (receipt, chain)
) STRICT, WITHOUT ROWID;

CREATE TABLE incidents (
    id     INTEGER PRIMARY KEY,
    author BLOB    NOT NULL CHECK (length(author) = 32),
    kind   TEXT    NOT NULL,
    detail TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    closed BLOB, -- by whom, when and why
    UNIQUE (author, kind, detail)
) STRICT;

CREATE TABLE small_values (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
