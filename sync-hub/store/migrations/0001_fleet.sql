-- Who belongs to the fleet. Ids and hashes are raw bytes, moments are microseconds since 1970; `status` and `revocation`
-- are JSON as the hub's core writes them.

CREATE TABLE sites (
    site       TEXT PRIMARY KEY,
    added_at   INTEGER NOT NULL,
    added_by   TEXT    NOT NULL,
    replica    BLOB UNIQUE CHECK (length(replica) = 32),
    seal_key   BLOB CHECK (length(seal_key) = 32),
    version    TEXT,
    enrolled_at INTEGER,
    status     TEXT    NOT NULL DEFAULT 'null',
    revocation TEXT,
    CHECK ((replica IS NULL) = (seal_key IS NULL))
) STRICT;

-- One-time codes: hashes only. At most one unused code a site.
CREATE TABLE codes (
    hash       BLOB PRIMARY KEY CHECK (length(hash) = 32),
    site       TEXT    NOT NULL REFERENCES sites (site),
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT;

-- Client certificates given out, by the SHA-256 of their DER form.
CREATE TABLE certificates (
    fingerprint BLOB PRIMARY KEY CHECK (length(fingerprint) = 32),
    site        TEXT    NOT NULL REFERENCES sites (site),
    serial      TEXT    NOT NULL,
    issued_at   INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT;
