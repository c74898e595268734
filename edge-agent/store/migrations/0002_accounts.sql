-- Who may sign in, and what commands did while the program that writes the ledger was running beside them.

CREATE TABLE users (
    user         TEXT PRIMARY KEY,
    display_name TEXT    NOT NULL,
    role         TEXT    NOT NULL,
    secret_hash  TEXT    NOT NULL,
    failures     INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    locked_until INTEGER,
    disabled     INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1))
) STRICT;

CREATE TABLE pending_audit (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    event BLOB NOT NULL
) STRICT;
