-- What a hub keeps beside the ledger: who belongs, and who may sign in. Sealed with the hub's store key: what sessions told, why a
-- membership ended, accounts, audit events that wait. Codes are found by a keyed hash: 40 bits would be guessed from a bare one.

CREATE TABLE sites (
    site        text   COLLATE "C" PRIMARY KEY,
    added_at    bigint NOT NULL,
    added_by    text   NOT NULL,
    replica     bytea  UNIQUE CHECK (length(replica) = 32),
    seal_key    bytea  CHECK (length(seal_key) = 32),
    version     text,
    enrolled_at bigint,
    status      bytea,
    revocation  bytea,
    CHECK ((replica IS NULL) = (seal_key IS NULL))
);

-- At most one unused code a site.
CREATE TABLE codes (
    hash       bytea  PRIMARY KEY CHECK (length(hash) = 32),
    site       text   COLLATE "C" NOT NULL REFERENCES sites (site),
    expires_at bigint NOT NULL,
    used_at    bigint
);

-- Client certificates given out, by the SHA-256 of their DER form.
CREATE TABLE certificates (
    fingerprint bytea  PRIMARY KEY CHECK (length(fingerprint) = 32),
    site        text   COLLATE "C" NOT NULL REFERENCES sites (site),
    serial      text   NOT NULL,
    issued_at   bigint NOT NULL,
    expires_at  bigint NOT NULL
);

CREATE TABLE users (
    name         text    COLLATE "C" PRIMARY KEY,
    account      bytea   NOT NULL,
    failures     bigint  NOT NULL DEFAULT 0 CHECK (failures >= 0),
    locked_until bigint
);

-- What commands did while the hub was running beside them, until it is in the ledger.
CREATE TABLE pending_audit (
    id    bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    event bytea  NOT NULL
);
