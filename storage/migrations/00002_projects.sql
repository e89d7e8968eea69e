-- Projects, guidelines, kinds of tasks, everything a ranking may carry, reviewers, links, tokens and an audit log.
-- The program switches foreign keys off while it migrates and checks them afterwards: tables are rebuilt here.

-- +goose Up
DROP TRIGGER rankings_begin_unsealed;
DROP TRIGGER rankings_seal;
DROP TRIGGER rankings_sealed;
DROP TRIGGER rankings_stay;
DROP TRIGGER ranking_items_insert;
DROP TRIGGER ranking_items_update;
DROP TRIGGER ranking_items_delete;
DROP TRIGGER task_completions_insert;
DROP TRIGGER task_completions_delete;

CREATE TABLE labelers_new (
  id            INTEGER PRIMARY KEY,
  name          TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 200),
  role          TEXT    NOT NULL CHECK (role IN ('labeler', 'reviewer', 'admin')),
  password_hash TEXT    NOT NULL, -- '' for one who cannot sign in with a password
  created_at    INTEGER NOT NULL, -- milliseconds since 1970, here and below
  disabled      INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
  pseudonym     TEXT    NOT NULL UNIQUE CHECK (length(pseudonym) BETWEEN 1 AND 200), -- what exports call them
  forgotten_at  INTEGER -- when their personal data was deleted; the name is the pseudonym since
) STRICT;
INSERT INTO labelers_new (id, name, role, password_hash, created_at, disabled, pseudonym)
  SELECT id, name, role, password_hash, created_at, disabled, 'labeler-' || id FROM labelers;
DROP TABLE labelers;
ALTER TABLE labelers_new RENAME TO labelers;

CREATE TABLE sign_in_links (
  token_hash BLOB    PRIMARY KEY,
  labeler_id INTEGER NOT NULL REFERENCES labelers (id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_in_links_labeler ON sign_in_links (labeler_id);

CREATE TABLE api_tokens (
  id         INTEGER PRIMARY KEY,
  token_hash BLOB    NOT NULL UNIQUE,
  labeler_id INTEGER NOT NULL REFERENCES labelers (id) ON DELETE CASCADE,
  name       TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at    INTEGER,
  revoked_at INTEGER
) STRICT;
CREATE INDEX api_tokens_labeler ON api_tokens (labeler_id);

CREATE TABLE audit (
  id       INTEGER PRIMARY KEY,
  at       INTEGER NOT NULL,
  actor_id INTEGER REFERENCES labelers (id), -- NULL: the command line
  actor    TEXT    NOT NULL,                 -- their name then, or pseudonym once forgotten
  action   TEXT    NOT NULL CHECK (length(action) > 0),
  object   TEXT    NOT NULL,
  detail   TEXT    NOT NULL DEFAULT '{}' CHECK (json_type(detail) = 'object')
) STRICT;
CREATE INDEX audit_actor ON audit (actor_id);

CREATE TABLE projects (
  id                INTEGER PRIMARY KEY,
  name              TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 200),
  description       TEXT    NOT NULL DEFAULT '',
  created_at        INTEGER NOT NULL,
  open              INTEGER NOT NULL DEFAULT 1 CHECK (open IN (0, 1)), -- its tasks are given out
  overlap           INTEGER NOT NULL DEFAULT 1 CHECK (overlap BETWEEN 1 AND 1000), -- rankings wanted of each new task
  k                 INTEGER NOT NULL DEFAULT 0 CHECK (k = 0 OR k BETWEEN 2 AND 9), -- completions of each new task; 0: all that come
  rate              INTEGER NOT NULL DEFAULT 0 CHECK (rate IN (0, 1)), -- each response is rated 1 to 7 before the ranking
  questions         TEXT    NOT NULL DEFAULT '[]' CHECK (json_type(questions) = 'array'), -- [{"key","text":{"en","zh"}}], yes or no of each response
  confidence        INTEGER NOT NULL DEFAULT 0 CHECK (confidence IN (0, 1)), -- asked with each ranking
  must_open         INTEGER NOT NULL DEFAULT 1 CHECK (must_open IN (0, 1)), -- each response must have been read through
  calibration_share REAL    NOT NULL DEFAULT 0 CHECK (calibration_share BETWEEN 0 AND 0.5), -- of a labeler's tasks
  gold_share        REAL    NOT NULL DEFAULT 0 CHECK (gold_share BETWEEN 0 AND 0.5),
  repeat_share      REAL    NOT NULL DEFAULT 0 CHECK (repeat_share BETWEEN 0 AND 0.5),
  gold_threshold    REAL    NOT NULL DEFAULT 0 CHECK (gold_threshold BETWEEN 0 AND 1), -- least share of right pairs; 0: nobody is paused
  gold_window       INTEGER NOT NULL DEFAULT 10 CHECK (gold_window BETWEEN 1 AND 1000) -- over this many latest gold tasks
) STRICT;
INSERT INTO projects (id, name, created_at) VALUES (1, 'default', 0);

CREATE TABLE guidelines (
  id         INTEGER PRIMARY KEY,
  project_id INTEGER NOT NULL REFERENCES projects (id),
  version    INTEGER NOT NULL CHECK (version >= 1),
  text       TEXT    NOT NULL, -- markdown
  author_id  INTEGER REFERENCES labelers (id),
  created_at INTEGER NOT NULL,
  UNIQUE (project_id, version)
) STRICT;

CREATE TABLE prompts_new (
  id       INTEGER PRIMARY KEY,
  text     TEXT NOT NULL,
  tokens   TEXT CHECK (tokens IS NULL OR json_type(tokens) = 'array'),
  system   TEXT NOT NULL DEFAULT '',
  messages TEXT CHECK (messages IS NULL OR json_type(messages) = 'array') -- the conversation, of which text is the transcript
) STRICT;
INSERT INTO prompts_new (id, text, tokens) SELECT id, text, tokens FROM prompts;
DROP TABLE prompts;
ALTER TABLE prompts_new RENAME TO prompts;
CREATE UNIQUE INDEX prompts_once ON prompts (text, system, coalesce(messages, ''));

ALTER TABLE completions ADD COLUMN messages TEXT CHECK (messages IS NULL OR json_type(messages) = 'array');
ALTER TABLE completions ADD COLUMN external_id TEXT NOT NULL DEFAULT '';

CREATE TABLE tasks_new (
  id          INTEGER PRIMARY KEY,
  project_id  INTEGER NOT NULL REFERENCES projects (id),
  prompt_id   INTEGER NOT NULL REFERENCES prompts (id),
  kind        TEXT    NOT NULL DEFAULT 'normal' CHECK (kind IN ('normal', 'calibration', 'gold', 'honeypot', 'training', 'example', 'repeat')),
  overlap     INTEGER NOT NULL CHECK (overlap >= 0), -- rankings wanted; 0: one of everybody
  priority    INTEGER NOT NULL DEFAULT 0,
  assigned_to INTEGER REFERENCES labelers (id),      -- NULL: anyone
  repeat_of   INTEGER REFERENCES tasks_new (id),
  open        INTEGER NOT NULL DEFAULT 1 CHECK (open IN (0, 1)), -- more rankings are wanted
  withdrawn   INTEGER NOT NULL DEFAULT 0 CHECK (withdrawn IN (0, 1)), -- set by an admin: not given out whatever is wanted
  done        INTEGER NOT NULL DEFAULT 0 CHECK (done >= 0), -- rankings that count towards overlap, kept by triggers
  digest      BLOB,    -- SHA-256 of project, prompt and completions, by which imported rankings find their task
  created_at  INTEGER NOT NULL DEFAULT 0,
  UNIQUE (id, prompt_id),
  CHECK ((kind = 'repeat') = (repeat_of IS NOT NULL))
) STRICT;
INSERT INTO tasks_new (id, project_id, prompt_id, overlap, priority, assigned_to, open, done)
  SELECT id, 1, prompt_id, overlap, priority, assigned_to, open,
    (SELECT count(*) FROM rankings r WHERE r.task_id = tasks.id AND r.sealed = 1 AND r.extra = 0) FROM tasks;
DROP TABLE tasks;
ALTER TABLE tasks_new RENAME TO tasks;
CREATE INDEX tasks_open ON tasks (project_id, kind, open, withdrawn, priority DESC, id);
CREATE INDEX tasks_assigned ON tasks (assigned_to, open) WHERE assigned_to IS NOT NULL;
CREATE INDEX tasks_prompt ON tasks (prompt_id);
CREATE INDEX tasks_digest ON tasks (digest) WHERE digest IS NOT NULL;
CREATE INDEX tasks_repeat ON tasks (repeat_of) WHERE repeat_of IS NOT NULL;

-- The researcher's own answer to a calibration, gold, honeypot, training or example task.
CREATE TABLE task_references (
  task_id    INTEGER PRIMARY KEY REFERENCES tasks (id),
  author_id  INTEGER REFERENCES labelers (id),
  note       TEXT    NOT NULL DEFAULT '', -- why; markdown
  created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE reference_items (
  task_id       INTEGER NOT NULL REFERENCES task_references (task_id) ON DELETE CASCADE,
  completion_id INTEGER NOT NULL,
  rank          INTEGER NOT NULL CHECK (rank BETWEEN 1 AND 9),
  PRIMARY KEY (task_id, completion_id),
  FOREIGN KEY (task_id, completion_id) REFERENCES task_completions (task_id, completion_id)
) STRICT, WITHOUT ROWID;

ALTER TABLE assignments ADD COLUMN done INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1)); -- ranked or skipped: no lease any more
UPDATE assignments SET done = 1 WHERE EXISTS (SELECT 1 FROM rankings r WHERE r.task_id = assignments.task_id AND r.labeler_id = assignments.labeler_id);
CREATE INDEX assignments_live ON assignments (task_id, expires_at) WHERE done = 0;

CREATE TABLE drafts (
  assignment_id INTEGER PRIMARY KEY REFERENCES assignments (id) ON DELETE CASCADE,
  version       INTEGER NOT NULL CHECK (version >= 1),
  body          TEXT    NOT NULL CHECK (json_type(body) = 'object'),
  updated_at    INTEGER NOT NULL
) STRICT;

-- A task that a labeler did not want to rank, and why. The latest of a labeler and task with undone = 0 holds.
CREATE TABLE skips (
  id              INTEGER PRIMARY KEY,
  task_id         INTEGER NOT NULL,
  labeler_id      INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  reason          TEXT    NOT NULL CHECK (reason IN ('nonsense', 'unsafe', 'too_hard', 'all_bad', 'personal_data', 'other')),
  comment         TEXT    NOT NULL DEFAULT '',
  active_ms       INTEGER NOT NULL DEFAULT 0 CHECK (active_ms >= 0),
  wall_ms         INTEGER NOT NULL DEFAULT 0 CHECK (wall_ms >= 0),
  idempotency_key TEXT UNIQUE,
  undone          INTEGER NOT NULL DEFAULT 0 CHECK (undone IN (0, 1)),
  FOREIGN KEY (task_id, labeler_id) REFERENCES assignments (task_id, labeler_id)
) STRICT;
CREATE UNIQUE INDEX skips_current ON skips (task_id, labeler_id) WHERE undone = 0;
CREATE INDEX skips_labeler ON skips (labeler_id, created_at);

CREATE TABLE rankings_new (
  id              INTEGER PRIMARY KEY,
  task_id         INTEGER NOT NULL,
  labeler_id      INTEGER NOT NULL,
  revision        INTEGER NOT NULL DEFAULT 1 CHECK (revision >= 1), -- of this labeler's ranking of this task
  replaced        INTEGER NOT NULL DEFAULT 0 CHECK (replaced IN (0, 1)), -- a later revision holds
  created_at      INTEGER NOT NULL,
  active_ms       INTEGER NOT NULL DEFAULT 0 CHECK (active_ms >= 0), -- with the page in view and in use
  wall_ms         INTEGER NOT NULL DEFAULT 0 CHECK (wall_ms >= 0),   -- from shown to sent
  comment         TEXT    NOT NULL DEFAULT '',
  confidence      REAL,
  choice          INTEGER NOT NULL DEFAULT 0 CHECK (choice IN (0, 1)), -- the best was chosen, the rest not compared
  flags           TEXT    NOT NULL DEFAULT '[]' CHECK (json_type(flags) = 'array'),
  guideline_id    INTEGER REFERENCES guidelines (id), -- in force when it was made
  guideline       TEXT    NOT NULL DEFAULT '',        -- the version an imported file names
  group_id        TEXT    NOT NULL DEFAULT '',        -- an imported file's
  meta            TEXT CHECK (meta IS NULL OR json_type(meta) = 'object'),
  imported        INTEGER NOT NULL DEFAULT 0 CHECK (imported IN (0, 1)), -- made elsewhere
  extra           INTEGER NOT NULL DEFAULT 0 CHECK (extra IN (0, 1)), -- beyond the overlap, kept
  idempotency_key TEXT UNIQUE,
  sealed          INTEGER NOT NULL DEFAULT 0 CHECK (sealed IN (0, 1)), -- counts from here on, and never changes
  UNIQUE (task_id, labeler_id, revision),
  UNIQUE (id, task_id),
  FOREIGN KEY (task_id, labeler_id) REFERENCES assignments (task_id, labeler_id)
) STRICT;
INSERT INTO rankings_new (id, task_id, labeler_id, created_at, active_ms, comment, extra, idempotency_key, sealed)
  SELECT id, task_id, labeler_id, created_at, active_ms, comment, extra, idempotency_key, sealed FROM rankings;
DROP TABLE rankings;
ALTER TABLE rankings_new RENAME TO rankings;
CREATE INDEX rankings_labeler ON rankings (labeler_id, created_at);
CREATE UNIQUE INDEX rankings_current ON rankings (task_id, labeler_id) WHERE replaced = 0;

ALTER TABLE ranking_items ADD COLUMN score REAL;
ALTER TABLE ranking_items ADD COLUMN label INTEGER CHECK (label IS NULL OR label IN (0, 1));
ALTER TABLE ranking_items ADD COLUMN ratings TEXT CHECK (ratings IS NULL OR json_type(ratings) = 'object'); -- {"overall": 1..7, question key: 0 or 1, …}
ALTER TABLE ranking_items ADD COLUMN note TEXT NOT NULL DEFAULT '';

-- A reviewer's ranking beside those of the labelers.
CREATE TABLE decisions (
  id          INTEGER PRIMARY KEY,
  task_id     INTEGER NOT NULL REFERENCES tasks (id),
  reviewer_id INTEGER NOT NULL REFERENCES labelers (id),
  created_at  INTEGER NOT NULL,
  note        TEXT    NOT NULL DEFAULT '',
  replaced    INTEGER NOT NULL DEFAULT 0 CHECK (replaced IN (0, 1)),
  UNIQUE (id, task_id)
) STRICT;
CREATE UNIQUE INDEX decisions_current ON decisions (task_id) WHERE replaced = 0;
CREATE TABLE decision_items (
  decision_id   INTEGER NOT NULL,
  task_id       INTEGER NOT NULL,
  completion_id INTEGER NOT NULL,
  rank          INTEGER NOT NULL CHECK (rank BETWEEN 1 AND 9),
  PRIMARY KEY (decision_id, completion_id),
  FOREIGN KEY (decision_id, task_id) REFERENCES decisions (id, task_id) ON DELETE CASCADE,
  FOREIGN KEY (task_id, completion_id) REFERENCES task_completions (task_id, completion_id)
) STRICT, WITHOUT ROWID;

-- A ranking is written unsealed, item by item, and sealed only if it covers exactly its task's completions with
-- ranks 1 to m without a gap. Only sealed rankings that no later revision replaced count.
-- +goose StatementBegin
CREATE TRIGGER rankings_begin_unsealed BEFORE INSERT ON rankings WHEN NEW.sealed = 1 OR NEW.replaced = 1
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
CREATE TRIGGER rankings_counted AFTER UPDATE OF sealed, replaced ON rankings
WHEN NEW.extra = 0 AND (NEW.sealed - OLD.sealed) + (OLD.replaced - NEW.replaced) <> 0
BEGIN
  UPDATE tasks SET done = done + (NEW.sealed = 1 AND NEW.replaced = 0) - (OLD.sealed = 1 AND OLD.replaced = 0),
    open = overlap = 0 OR done + (NEW.sealed = 1 AND NEW.replaced = 0) - (OLD.sealed = 1 AND OLD.replaced = 0) < overlap
  WHERE id = NEW.task_id;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER tasks_overlap AFTER UPDATE OF overlap ON tasks
BEGIN
  UPDATE tasks SET open = overlap = 0 OR done < overlap WHERE id = NEW.id;
END;
-- +goose StatementEnd
-- Of a sealed ranking only two things change: a later revision replaces it, and a comment is deleted with the
-- personal data of who wrote it.
-- +goose StatementBegin
CREATE TRIGGER rankings_stay BEFORE UPDATE ON rankings WHEN OLD.sealed = 1 AND NOT (
  NEW.id = OLD.id AND NEW.task_id = OLD.task_id AND NEW.labeler_id = OLD.labeler_id AND NEW.revision = OLD.revision
  AND NEW.replaced >= OLD.replaced AND NEW.created_at = OLD.created_at AND NEW.active_ms = OLD.active_ms AND NEW.wall_ms = OLD.wall_ms
  AND NEW.comment IN (OLD.comment, '') AND NEW.confidence IS OLD.confidence AND NEW.choice = OLD.choice AND NEW.flags = OLD.flags
  AND NEW.guideline_id IS OLD.guideline_id AND NEW.guideline = OLD.guideline AND NEW.group_id = OLD.group_id AND NEW.meta IS OLD.meta
  AND NEW.imported = OLD.imported AND NEW.extra = OLD.extra AND NEW.idempotency_key IS OLD.idempotency_key AND NEW.sealed = 1)
BEGIN
  SELECT RAISE(ABORT, 'a sealed ranking does not change');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER rankings_kept BEFORE DELETE ON rankings WHEN OLD.sealed = 1
BEGIN
  SELECT RAISE(ABORT, 'a sealed ranking is not deleted');
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
-- +goose StatementBegin
CREATE TRIGGER audit_stays BEFORE DELETE ON audit
BEGIN
  SELECT RAISE(ABORT, 'the audit log is only added to');
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

-- What version 1 has no place for is lost on the way down: all but the current revision of each ranking, tasks other than
-- normal and calibration ones that nobody has ranked, prompts that differ only in system or messages become one.
-- +goose Down
DROP TRIGGER rankings_begin_unsealed;
DROP TRIGGER rankings_seal;
DROP TRIGGER rankings_counted;
DROP TRIGGER tasks_overlap;
DROP TRIGGER rankings_stay;
DROP TRIGGER rankings_kept;
DROP TRIGGER ranking_items_insert;
DROP TRIGGER ranking_items_update;
DROP TRIGGER ranking_items_delete;
DROP TRIGGER audit_stays;
DROP TRIGGER task_completions_insert;
DROP TRIGGER task_completions_delete;

DROP TABLE decision_items;
DROP TABLE decisions;
DROP TABLE skips;
DROP TABLE drafts;
DROP TABLE reference_items;
DROP TABLE task_references;
DROP TABLE audit;
DROP TABLE api_tokens;
DROP TABLE sign_in_links;

DELETE FROM ranking_items WHERE ranking_id IN (SELECT id FROM rankings WHERE replaced = 1);
DELETE FROM rankings WHERE replaced = 1;
CREATE TABLE rankings_old (
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
INSERT INTO rankings_old SELECT id, task_id, labeler_id, created_at, active_ms, comment, extra, idempotency_key, sealed FROM rankings;
DROP TABLE rankings;
ALTER TABLE rankings_old RENAME TO rankings;
CREATE INDEX rankings_labeler ON rankings (labeler_id, created_at);
ALTER TABLE ranking_items DROP COLUMN note;
ALTER TABLE ranking_items DROP COLUMN ratings;
ALTER TABLE ranking_items DROP COLUMN label;
ALTER TABLE ranking_items DROP COLUMN score;

DROP INDEX assignments_live;
ALTER TABLE assignments DROP COLUMN done;

CREATE TABLE tasks_old (
  id          INTEGER PRIMARY KEY,
  prompt_id   INTEGER NOT NULL REFERENCES prompts (id),
  overlap     INTEGER NOT NULL CHECK (overlap >= 1), -- rankings wanted
  priority    INTEGER NOT NULL DEFAULT 0,
  assigned_to INTEGER REFERENCES labelers (id),      -- NULL: anyone
  open        INTEGER NOT NULL DEFAULT 1 CHECK (open IN (0, 1)),
  UNIQUE (id, prompt_id)
) STRICT;
INSERT INTO tasks_old SELECT id, prompt_id, max(overlap, 1), priority, assigned_to, open AND NOT withdrawn FROM tasks;
DROP TABLE tasks;
ALTER TABLE tasks_old RENAME TO tasks;
CREATE INDEX tasks_open ON tasks (open, priority DESC, id);
CREATE INDEX tasks_count ON tasks (open, assigned_to, overlap);
CREATE INDEX tasks_prompt ON tasks (prompt_id);

ALTER TABLE completions DROP COLUMN external_id;
ALTER TABLE completions DROP COLUMN messages;

UPDATE tasks SET prompt_id = (SELECT min(q.id) FROM prompts p JOIN prompts q ON q.text = p.text WHERE p.id = tasks.prompt_id);
UPDATE completions SET prompt_id = (SELECT min(q.id) FROM prompts p JOIN prompts q ON q.text = p.text WHERE p.id = completions.prompt_id);
UPDATE task_completions SET prompt_id = (SELECT min(q.id) FROM prompts p JOIN prompts q ON q.text = p.text WHERE p.id = task_completions.prompt_id);
CREATE TABLE prompts_old (
  id     INTEGER PRIMARY KEY,
  text   TEXT    NOT NULL UNIQUE,
  tokens TEXT CHECK (tokens IS NULL OR json_type(tokens) = 'array')
) STRICT;
INSERT INTO prompts_old SELECT min(id), text, max(tokens) FROM prompts GROUP BY text;
DROP TABLE prompts;
ALTER TABLE prompts_old RENAME TO prompts;

DROP TABLE guidelines;
DROP TABLE projects;

CREATE TABLE labelers_old (
  id            INTEGER PRIMARY KEY,
  name          TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 200),
  role          TEXT    NOT NULL CHECK (role IN ('labeler', 'admin')),
  password_hash TEXT    NOT NULL, -- '' for one who cannot sign in
  created_at    INTEGER NOT NULL, -- milliseconds since 1970, here and below
  disabled      INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1))
) STRICT;
INSERT INTO labelers_old SELECT id, name, iif(role = 'reviewer', 'labeler', role), password_hash, created_at, disabled FROM labelers;
DROP TABLE labelers;
ALTER TABLE labelers_old RENAME TO labelers;

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
