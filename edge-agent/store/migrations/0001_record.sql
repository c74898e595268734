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
    UNIQUE (scope, author, run)
) STRICT;
CREATE INDEX chains_by_author ON chains (author);

-- Rows are added and never changed; the payload is last so that what comes before it is read without it.
CREATE TABLE entries (
    arrival     INTEGER PRIMARY KEY AUTOINCREMENT,
    chain       INTEGER NOT NULL REFERENCES chains (id),
    seq         INTEGER NOT NULL CHECK (seq >= 0),
    at          INTEGER NOT NULL,
    header_hash BLOB    NOT NULL CHECK (length(header_hash) = 32),
    signature   BLOB    CHECK (length(signature) = 64), -- on the last entry of a stretch
    header      BLOB    NOT NULL,
    payload     BLOB    NOT NULL,
    UNIQUE (chain, seq)
) STRICT;

-- Entries that have not reached the views: their scope's key is not here, or (dead) they cannot be read.
CREATE TABLE unapplied (
    arrival INTEGER PRIMARY KEY REFERENCES entries (arrival),
    dead    INTEGER NOT NULL CHECK (dead IN (0, 1))
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
    CHECK ((key_id IS NULL) = (key IS NULL))
) STRICT;

CREATE TABLE documents (
    rowid   INTEGER PRIMARY KEY,
    type    TEXT NOT NULL,
    id      TEXT NOT NULL,
    scope   BLOB NOT NULL CHECK (length(scope) = 16),
    version TEXT NOT NULL,
    updated BLOB NOT NULL,
    json    TEXT NOT NULL, -- empty while the document has no genesis
    parts   BLOB NOT NULL,
    UNIQUE (type, id)
) STRICT;
CREATE INDEX documents_by_scope ON documents (scope, type, id);

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
    UNIQUE (chain, seq)
) STRICT;
CREATE INDEX segments_by_time ON segments (scope, waves, start_at, end_at);
CREATE INDEX segments_by_end ON segments (end_at, device, boot, waves, next_seq);

-- The unsealed tail, a tick a row.
CREATE TABLE ticks (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE receipts (
    signer  BLOB PRIMARY KEY CHECK (length(signer) = 32),
    receipt BLOB NOT NULL
) STRICT;

CREATE TABLE incidents (
    id     INTEGER PRIMARY KEY,
    author BLOB    NOT NULL CHECK (length(author) = 32),
    kind   TEXT    NOT NULL,
    detail TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    UNIQUE (author, kind, detail)
) STRICT;

CREATE TABLE small_values (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
