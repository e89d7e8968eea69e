-- +goose Up
CREATE TABLE labelers (
  id            INTEGER PRIMARY KEY,
  name          TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 200),
  role          TEXT    NOT NULL CHECK (role IN ('labeler', 'admin')),
  password_hash TEXT    NOT NULL, -- '' for one who cannot sign in
  created_at    INTEGER NOT NULL, -- milliseconds since 1970, here and below
  disabled      INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1))
) STRICT;

CREATE TABLE sessions (
  token_hash BLOB    PRIMARY KEY,
  labeler_id INTEGER NOT NULL REFERENCES labelers (id) ON DELETE CASCADE,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_labeler ON sessions (labeler_id);

CREATE TABLE prompts (
  id     INTEGER PRIMARY KEY,
  text   TEXT    NOT NULL UNIQUE,
  tokens TEXT CHECK (tokens IS NULL OR json_type(tokens) = 'array')
) STRICT;

CREATE TABLE completions (
  id        INTEGER PRIMARY KEY,
  prompt_id INTEGER NOT NULL REFERENCES prompts (id),
  model     TEXT    NOT NULL,
  text      TEXT    NOT NULL,
  tokens    TEXT CHECK (tokens IS NULL OR json_type(tokens) = 'array'),
  sampling  TEXT CHECK (sampling IS NULL OR json_type(sampling) = 'object'),
  UNIQUE (id, prompt_id)
) STRICT;
CREATE INDEX completions_prompt ON completions (prompt_id);

CREATE TABLE tasks (
  id          INTEGER PRIMARY KEY,
  prompt_id   INTEGER NOT NULL REFERENCES prompts (id),
  overlap     INTEGER NOT NULL CHECK (overlap >= 1), -- rankings wanted
  priority    INTEGER NOT NULL DEFAULT 0,
  assigned_to INTEGER REFERENCES labelers (id),      -- NULL: anyone
  open        INTEGER NOT NULL DEFAULT 1 CHECK (open IN (0, 1)),
  UNIQUE (id, prompt_id)
) STRICT;
CREATE INDEX tasks_open ON tasks (open, priority DESC, id);
CREATE INDEX tasks_count ON tasks (open, assigned_to, overlap);
CREATE INDEX tasks_prompt ON tasks (prompt_id);

-- The completions of a task are of the task's prompt.
CREATE TABLE task_completions (
  task_id       INTEGER NOT NULL,
  prompt_id     INTEGER NOT NULL,
  position      INTEGER NOT NULL CHECK (position BETWEEN 0 AND 8),
  completion_id INTEGER NOT NULL,
  PRIMARY KEY (task_id, completion_id),
  UNIQUE (task_id, position),
  FOREIGN KEY (task_id, prompt_id) REFERENCES tasks (id, prompt_id),
  FOREIGN KEY (completion_id, prompt_id) REFERENCES completions (id, prompt_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_completions_completion ON task_completions (completion_id, prompt_id);

-- A task in a labeler's hands: under which name, in which order, until when.
CREATE TABLE assignments (
  id         INTEGER PRIMARY KEY,
  public_id  TEXT    NOT NULL UNIQUE,
  task_id    INTEGER NOT NULL REFERENCES tasks (id),
  labeler_id INTEGER NOT NULL REFERENCES labelers (id),
  shown      TEXT    NOT NULL CHECK (json_type(shown) = 'array'), -- completion ids in the order drawn
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  UNIQUE (task_id, labeler_id)
) STRICT;
CREATE INDEX assignments_labeler ON assignments (labeler_id, expires_at);

CREATE TABLE rankings (
  id              INTEGER PRIMARY KEY,
  task_id         INTEGER NOT NULL,
  labeler_id      INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  active_ms       INTEGER NOT NULL DEFAULT 0 CHECK (active_ms >= 0),
  comment         TEXT    NOT NULL DEFAULT '',
  extra           INTEGER NOT NULL DEFAULT 0 CHECK (extra IN (0, 1)), -- beyond the overlap, kept
  idempotency_key TEXT UNIQUE,
  sealed          INTEGER NOT NULL DEFAULT 0 CHECK (sealed IN (0, 1)), -- counts from here on, and never changes
  UNIQUE (task_id, labeler_id),
  UNIQUE (id, task_id),
  FOREIGN KEY (task_id, labeler_id) REFERENCES assignments (task_id, labeler_id)
) STRICT;
CREATE INDEX rankings_labeler ON rankings (labeler_id, created_at);

CREATE TABLE ranking_items (
  ranking_id    INTEGER NOT NULL,
  task_id       INTEGER NOT NULL,
  completion_id INTEGER NOT NULL,
  rank          INTEGER NOT NULL CHECK (rank BETWEEN 1 AND 9), -- 1 is best, equal ranks are a tie
  PRIMARY KEY (ranking_id, completion_id),
  FOREIGN KEY (ranking_id, task_id) REFERENCES rankings (id, task_id) ON DELETE CASCADE,
  FOREIGN KEY (task_id, completion_id) REFERENCES task_completions (task_id, completion_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX ranking_items_completion ON ranking_items (task_id, completion_id);

-- A ranking is written unsealed, item by item, and sealed only if it covers exactly its task's completions with
-- ranks 1 to m without a gap. Only sealed rankings count.
-- +goose StatementBegin
CREATE TRIGGER rankings_begin_unsealed BEFORE INSERT ON rankings WHEN NEW.sealed = 1
BEGIN
  SELECT RAISE(ABORT, 'a ranking is sealed after its items are written');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER rankings_seal BEFORE UPDATE OF sealed ON rankings WHEN NEW.sealed = 1 AND OLD.sealed = 0
BEGIN
  SELECT RAISE(ABORT, 'a ranking must cover exactly the completions of its task')
  WHERE (SELECT count(*) FROM ranking_items WHERE ranking_id = NEW.id)
     <> (SELECT count(*) FROM task_completions WHERE task_id = NEW.task_id);
  SELECT RAISE(ABORT, 'ranks must be 1 to m without a gap')
  WHERE (SELECT count(DISTINCT rank) FROM ranking_items WHERE ranking_id = NEW.id)
     <> (SELECT max(rank) FROM ranking_items WHERE ranking_id = NEW.id);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER rankings_sealed AFTER UPDATE OF sealed ON rankings WHEN NEW.sealed = 1 AND OLD.sealed = 0
BEGIN
  UPDATE tasks SET open = (SELECT count(*) FROM rankings r WHERE r.task_id = NEW.task_id AND r.sealed = 1 AND r.extra = 0) < overlap
  WHERE id = NEW.task_id;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER rankings_stay BEFORE UPDATE ON rankings WHEN OLD.sealed = 1
BEGIN
  SELECT RAISE(ABORT, 'a sealed ranking does not change');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER ranking_items_insert BEFORE INSERT ON ranking_items
WHEN (SELECT sealed FROM rankings WHERE id = NEW.ranking_id) = 1
BEGIN
  SELECT RAISE(ABORT, 'a sealed ranking does not change');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER ranking_items_update BEFORE UPDATE ON ranking_items
WHEN (SELECT sealed FROM rankings WHERE id = OLD.ranking_id) = 1
BEGIN
  SELECT RAISE(ABORT, 'a sealed ranking does not change');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER ranking_items_delete BEFORE DELETE ON ranking_items
WHEN (SELECT sealed FROM rankings WHERE id = OLD.ranking_id) = 1
BEGIN
  SELECT RAISE(ABORT, 'a sealed ranking does not change');
END;
-- +goose StatementEnd
-- A task's completions are fixed once it is in someone's hands.
-- +goose StatementBegin
CREATE TRIGGER task_completions_insert BEFORE INSERT ON task_completions
WHEN EXISTS (SELECT 1 FROM assignments WHERE task_id = NEW.task_id)
BEGIN
  SELECT RAISE(ABORT, 'the completions of an assigned task do not change');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER task_completions_delete BEFORE DELETE ON task_completions
WHEN EXISTS (SELECT 1 FROM assignments WHERE task_id = OLD.task_id)
BEGIN
  SELECT RAISE(ABORT, 'the completions of an assigned task do not change');
END;
-- +goose StatementEnd

-- +goose Down
DROP TABLE ranking_items;
DROP TABLE rankings;
DROP TABLE assignments;
DROP TABLE task_completions;
DROP TABLE tasks;
DROP TABLE completions;
DROP TABLE prompts;
DROP TABLE sessions;
DROP TABLE labelers;
