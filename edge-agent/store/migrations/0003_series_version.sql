-- Tells readers of numerics that what they remember still holds: `version` changes with whatever may change their answers,
-- `gone` with whatever they must forget. Kept by triggers, so that no statement can forget it. Waves come each minute and count
-- for nothing here.

CREATE TABLE series_version (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    gone    INTEGER NOT NULL
) STRICT;
INSERT INTO series_version (id, version, gone) VALUES (1, 1, 1);

CREATE TRIGGER segments_come AFTER INSERT ON segments WHEN new.waves = 0
BEGIN UPDATE series_version SET version = version + 1; END;
CREATE TRIGGER segments_change AFTER UPDATE ON segments WHEN new.waves = 0
BEGIN UPDATE series_version SET version = version + 1, gone = gone + (old.held > new.held); END;
CREATE TRIGGER segments_go AFTER DELETE ON segments WHEN old.waves = 0
BEGIN UPDATE series_version SET version = version + 1, gone = gone + 1; END;

CREATE TRIGGER masks_come AFTER INSERT ON masks
BEGIN UPDATE series_version SET version = version + 1; END;
CREATE TRIGGER masks_go AFTER DELETE ON masks
BEGIN UPDATE series_version SET version = version + 1; END;

-- A scope is replaced as a whole: without its key if that has gone.
CREATE TRIGGER scopes_come AFTER INSERT ON scopes
BEGIN UPDATE series_version SET version = version + 1, gone = gone + (new.key IS NULL); END;
CREATE TRIGGER scopes_change AFTER UPDATE ON scopes
BEGIN UPDATE series_version SET version = version + 1, gone = gone + (new.key IS NULL); END;

CREATE TRIGGER bindings_come AFTER INSERT ON bindings
BEGIN UPDATE series_version SET version = version + 1; END;

CREATE TRIGGER patients_come AFTER INSERT ON documents WHEN new.type = 'Patient'
BEGIN UPDATE series_version SET version = version + 1; END;
CREATE TRIGGER patients_change AFTER UPDATE ON documents WHEN new.type = 'Patient'
BEGIN UPDATE series_version SET version = version + 1; END;
CREATE TRIGGER patients_go AFTER DELETE ON documents WHEN old.type = 'Patient'
BEGIN UPDATE series_version SET version = version + 1; END;
