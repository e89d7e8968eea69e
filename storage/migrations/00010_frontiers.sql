-- A task that becomes free again moves back the searches of those who have not done it, and nobody else's: a change of an
-- answer opens its task for a moment, and would send everybody back to it.

-- +goose Up
DROP TRIGGER tasks_restocked;
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
    AND (priority < NEW.priority OR priority = NEW.priority AND task_id >= NEW.id)
    AND NOT EXISTS (SELECT 1 FROM assignments a WHERE a.task_id = NEW.id AND a.labeler_id = frontiers.labeler_id AND a.done = 1);
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER tasks_restocked;
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
