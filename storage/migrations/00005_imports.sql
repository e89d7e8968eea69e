-- Files that were brought in, so that one interrupted goes on where it stopped, and none is brought in twice unasked.

-- +goose Up
CREATE TABLE imports (
  id          INTEGER PRIMARY KEY,
  project_id  INTEGER NOT NULL REFERENCES projects (id),
  what        TEXT    NOT NULL CHECK (what IN ('tasks', 'rankings')),
  name        TEXT    NOT NULL,          -- of the file
  digest      BLOB    NOT NULL,          -- SHA-256 of its records
  records     INTEGER NOT NULL CHECK (records >= 0),
  kept        INTEGER NOT NULL DEFAULT 0 CHECK (kept BETWEEN 0 AND records), -- of them, from the first on
  tasks       INTEGER NOT NULL DEFAULT 0 CHECK (tasks >= 0),                 -- that were new
  rankings    INTEGER NOT NULL DEFAULT 0 CHECK (rankings >= 0),
  author_id   INTEGER REFERENCES labelers (id),
  created_at  INTEGER NOT NULL,
  finished_at INTEGER CHECK ((finished_at IS NOT NULL) <= (kept = records))
) STRICT;
CREATE INDEX imports_digest ON imports (digest);

-- +goose Down
DROP TABLE imports;
