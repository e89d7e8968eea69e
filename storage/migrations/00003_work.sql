-- What gives out tasks fast among millions of them: counters kept by triggers, how far each labeler's search has come, and
-- how labelers fare with gold tasks.

-- +goose Up
ALTER TABLE skips ADD COLUMN revision INTEGER NOT NULL DEFAULT 1 CHECK (revision >= 1); -- counted together with the rankings of the labeler and task

DROP INDEX rankings_labeler;
CREATE INDEX rankings_labeler ON rankings (labeler_id, created_at, replaced, active_ms);
DROP INDEX skips_labeler;
CREATE INDEX skips_labeler ON skips (labeler_id, created_at, undone, active_ms);
CREATE INDEX tasks_free ON tasks (project_id, kind, priority DESC, id) WHERE open = 1 AND withdrawn = 0 AND assigned_to IS NULL;
CREATE INDEX tasks_mine ON tasks (assigned_to, project_id, kind, priority DESC, id) WHERE open = 1 AND withdrawn = 0 AND assigned_to IS NOT NULL;
CREATE INDEX assignments_mine ON assignments (labeler_id, expires_at) WHERE done = 0;

-- Tasks that anyone may be given, by kind.
CREATE TABLE stocks (
  project_id INTEGER NOT NULL REFERENCES projects (id),
  kind       TEXT    NOT NULL,
  free       INTEGER NOT NULL CHECK (free >= 0),
  PRIMARY KEY (project_id, kind)
) STRICT, WITHOUT ROWID;

-- What a labeler has been given and has done, by kind.
CREATE TABLE tallies (
  labeler_id INTEGER NOT NULL REFERENCES labelers (id),
  project_id INTEGER NOT NULL REFERENCES projects (id),
  kind       TEXT    NOT NULL,
  given      INTEGER NOT NULL CHECK (given >= 0),
  done       INTEGER NOT NULL CHECK (done >= 0),    -- ranked or skipped
  covered    INTEGER NOT NULL CHECK (covered >= 0), -- done, and still open to others
  PRIMARY KEY (labeler_id, project_id, kind)
) STRICT, WITHOUT ROWID;

-- A labeler has done all free tasks of a kind up to this one, in the order of priority and then id. Whatever makes a task
-- before it free moves it back.
CREATE TABLE frontiers (
  project_id INTEGER NOT NULL REFERENCES projects (id),
  kind       TEXT    NOT NULL,
  labeler_id INTEGER NOT NULL REFERENCES labelers (id),
  priority   INTEGER NOT NULL,
  task_id    INTEGER NOT NULL,
  PRIMARY KEY (project_id, kind, labeler_id)
) STRICT, WITHOUT ROWID;

-- Of the strictly ordered pairs of a gold task's reference, how many a ranking has right.
CREATE TABLE gold_scores (
  ranking_id INTEGER PRIMARY KEY REFERENCES rankings (id),
  labeler_id INTEGER NOT NULL REFERENCES labelers (id),
  project_id INTEGER NOT NULL REFERENCES projects (id),
  correct    INTEGER NOT NULL CHECK (correct BETWEEN 0 AND pairs),
  pairs      INTEGER NOT NULL CHECK (pairs >= 1)
) STRICT;
CREATE INDEX gold_scores_labeler ON gold_scores (labeler_id, project_id, ranking_id);

-- A labeler who is given nothing of a project until an admin resumes them.
CREATE TABLE pauses (
  id         INTEGER PRIMARY KEY,
  labeler_id INTEGER NOT NULL REFERENCES labelers (id),
  project_id INTEGER NOT NULL REFERENCES projects (id),
  reason     TEXT    NOT NULL CHECK (reason IN ('gold')),
  paused_at  INTEGER NOT NULL,
  resumed_at INTEGER,
  resumed_after INTEGER -- ranking up to which gold tasks count no more
) STRICT;
CREATE UNIQUE INDEX pauses_current ON pauses (labeler_id, project_id) WHERE resumed_at IS NULL;
CREATE INDEX pauses_project ON pauses (project_id);

INSERT INTO stocks (project_id, kind, free)
  SELECT project_id, kind, sum(open = 1 AND withdrawn = 0 AND assigned_to IS NULL) FROM tasks GROUP BY project_id, kind;
INSERT INTO tallies (labeler_id, project_id, kind, given, done, covered)
  SELECT a.labeler_id, t.project_id, t.kind, count(*), sum(a.done),
    sum(a.done = 1 AND t.open = 1 AND t.withdrawn = 0 AND (t.assigned_to IS NULL OR t.assigned_to = a.labeler_id))
  FROM assignments a JOIN tasks t ON t.id = a.task_id GROUP BY a.labeler_id, t.project_id, t.kind;

-- +goose StatementBegin
CREATE TRIGGER tasks_stocked AFTER INSERT ON tasks
BEGIN
  INSERT INTO stocks (project_id, kind, free) VALUES (NEW.project_id, NEW.kind, NEW.open = 1 AND NEW.withdrawn = 0 AND NEW.assigned_to IS NULL)
    ON CONFLICT (project_id, kind) DO UPDATE SET free = free + excluded.free;
  UPDATE frontiers SET priority = NEW.priority, task_id = NEW.id - 1
  WHERE project_id = NEW.project_id AND kind = NEW.kind AND (priority < NEW.priority OR priority = NEW.priority AND task_id >= NEW.id);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER tasks_restocked AFTER UPDATE OF project_id, kind, open, withdrawn, assigned_to, priority ON tasks
WHEN OLD.project_id <> NEW.project_id OR OLD.kind <> NEW.kind OR OLD.open <> NEW.open OR OLD.withdrawn <> NEW.withdrawn
  OR OLD.assigned_to IS NOT NEW.assigned_to OR OLD.priority <> NEW.priority
BEGIN
  UPDATE stocks SET free = free - 1
  WHERE project_id = OLD.project_id AND kind = OLD.kind AND OLD.open = 1 AND OLD.withdrawn = 0 AND OLD.assigned_to IS NULL;
  INSERT INTO stocks (project_id, kind, free) VALUES (NEW.project_id, NEW.kind, NEW.open = 1 AND NEW.withdrawn = 0 AND NEW.assigned_to IS NULL)
    ON CONFLICT (project_id, kind) DO UPDATE SET free = free + excluded.free;
  UPDATE tallies SET covered = covered - 1
  WHERE OLD.open = 1 AND OLD.withdrawn = 0 AND labeler_id IN (SELECT labeler_id FROM assignments WHERE task_id = NEW.id AND done = 1)
    AND project_id = OLD.project_id AND kind = OLD.kind AND (OLD.assigned_to IS NULL OR OLD.assigned_to = labeler_id);
  INSERT INTO tallies (labeler_id, project_id, kind, given, done, covered)
    SELECT labeler_id, NEW.project_id, NEW.kind, 0, 0, 1 FROM assignments
    WHERE task_id = NEW.id AND done = 1 AND NEW.open = 1 AND NEW.withdrawn = 0 AND (NEW.assigned_to IS NULL OR NEW.assigned_to = labeler_id)
    ON CONFLICT (labeler_id, project_id, kind) DO UPDATE SET covered = covered + 1;
  UPDATE frontiers SET priority = NEW.priority, task_id = NEW.id - 1
  WHERE project_id = NEW.project_id AND kind = NEW.kind AND NEW.open = 1 AND NEW.withdrawn = 0
    AND (priority < NEW.priority OR priority = NEW.priority AND task_id >= NEW.id);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER tasks_moved AFTER UPDATE OF project_id, kind ON tasks WHEN OLD.project_id <> NEW.project_id OR OLD.kind <> NEW.kind
BEGIN
  INSERT INTO tallies (labeler_id, project_id, kind, given, done, covered)
    SELECT labeler_id, NEW.project_id, NEW.kind, 1, done, 0 FROM assignments WHERE task_id = NEW.id
    ON CONFLICT (labeler_id, project_id, kind) DO UPDATE SET given = given + 1, done = done + excluded.done;
  UPDATE tallies SET given = given - 1, done = done - (SELECT a.done FROM assignments a WHERE a.task_id = NEW.id AND a.labeler_id = tallies.labeler_id)
  WHERE labeler_id IN (SELECT labeler_id FROM assignments WHERE task_id = NEW.id) AND project_id = OLD.project_id AND kind = OLD.kind;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER tasks_unstocked AFTER DELETE ON tasks WHEN OLD.open = 1 AND OLD.withdrawn = 0 AND OLD.assigned_to IS NULL
BEGIN
  UPDATE stocks SET free = free - 1 WHERE project_id = OLD.project_id AND kind = OLD.kind;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER assignments_given AFTER INSERT ON assignments
BEGIN
  INSERT INTO tallies (labeler_id, project_id, kind, given, done, covered)
    SELECT NEW.labeler_id, t.project_id, t.kind, 1, NEW.done,
      NEW.done = 1 AND t.open = 1 AND t.withdrawn = 0 AND (t.assigned_to IS NULL OR t.assigned_to = NEW.labeler_id)
    FROM tasks t WHERE t.id = NEW.task_id
    ON CONFLICT (labeler_id, project_id, kind) DO UPDATE SET given = given + 1, done = done + excluded.done, covered = covered + excluded.covered;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER assignments_done AFTER UPDATE OF done ON assignments WHEN NEW.done <> OLD.done
BEGIN
  INSERT INTO tallies (labeler_id, project_id, kind, given, done, covered)
    SELECT NEW.labeler_id, t.project_id, t.kind, 0, 0, 0 FROM tasks t WHERE t.id = NEW.task_id
    ON CONFLICT (labeler_id, project_id, kind) DO UPDATE SET done = done + NEW.done - OLD.done,
      covered = covered + (NEW.done - OLD.done) * (SELECT t.open = 1 AND t.withdrawn = 0 AND (t.assigned_to IS NULL OR t.assigned_to = NEW.labeler_id)
        FROM tasks t WHERE t.id = NEW.task_id);
END;
-- +goose StatementEnd
-- A task that a labeler gives back, undone, is free to them again.
-- +goose StatementBegin
CREATE TRIGGER assignments_undone AFTER UPDATE OF done ON assignments WHEN NEW.done < OLD.done
BEGIN
  DELETE FROM frontiers WHERE labeler_id = NEW.labeler_id
    AND (project_id, kind) = (SELECT t.project_id, t.kind FROM tasks t WHERE t.id = NEW.task_id);
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER tasks_stocked;
DROP TRIGGER tasks_restocked;
DROP TRIGGER tasks_moved;
DROP TRIGGER tasks_unstocked;
DROP TRIGGER assignments_given;
DROP TRIGGER assignments_done;
DROP TRIGGER assignments_undone;
DROP TABLE pauses;
DROP TABLE gold_scores;
DROP TABLE frontiers;
DROP TABLE tallies;
DROP TABLE stocks;
DROP INDEX assignments_mine;
DROP INDEX tasks_mine;
DROP INDEX tasks_free;
DROP INDEX skips_labeler;
CREATE INDEX skips_labeler ON skips (labeler_id, created_at);
DROP INDEX rankings_labeler;
CREATE INDEX rankings_labeler ON rankings (labeler_id, created_at);
ALTER TABLE skips DROP COLUMN revision;
