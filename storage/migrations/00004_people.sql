-- When people were last seen, and what may change when they are forgotten.

-- +goose Up
ALTER TABLE labelers ADD COLUMN last_seen_at INTEGER;

-- Of a sealed ranking three things change: a later revision replaces it, its comment is deleted, and the name of somebody
-- forgotten is taken out of what an imported file said about it.
DROP TRIGGER rankings_stay;
-- +goose StatementBegin
CREATE TRIGGER rankings_stay BEFORE UPDATE ON rankings WHEN OLD.sealed = 1 AND NOT (
  NEW.id = OLD.id AND NEW.task_id = OLD.task_id AND NEW.labeler_id = OLD.labeler_id AND NEW.revision = OLD.revision
  AND NEW.replaced >= OLD.replaced AND NEW.created_at = OLD.created_at AND NEW.active_ms = OLD.active_ms AND NEW.wall_ms = OLD.wall_ms
  AND NEW.comment IN (OLD.comment, '') AND NEW.confidence IS OLD.confidence AND NEW.choice = OLD.choice AND NEW.flags = OLD.flags
  AND NEW.guideline_id IS OLD.guideline_id AND NEW.guideline = OLD.guideline AND NEW.group_id = OLD.group_id
  AND (NEW.meta IS OLD.meta OR (SELECT forgotten_at FROM labelers WHERE id = OLD.labeler_id) IS NOT NULL)
  AND NEW.imported = OLD.imported AND NEW.extra = OLD.extra AND NEW.idempotency_key IS OLD.idempotency_key AND NEW.sealed = 1)
BEGIN
  SELECT RAISE(ABORT, 'a sealed ranking does not change');
END;
-- +goose StatementEnd
DROP TRIGGER ranking_items_update;
-- +goose StatementBegin
CREATE TRIGGER ranking_items_update BEFORE UPDATE ON ranking_items
WHEN (SELECT sealed FROM rankings WHERE id = OLD.ranking_id) = 1 AND NOT (
  NEW.ranking_id = OLD.ranking_id AND NEW.task_id = OLD.task_id AND NEW.completion_id = OLD.completion_id AND NEW.rank = OLD.rank
  AND NEW.score IS OLD.score AND NEW.label IS OLD.label AND NEW.ratings IS OLD.ratings AND NEW.note IN (OLD.note, ''))
BEGIN
  SELECT RAISE(ABORT, 'a sealed ranking does not change');
END;
-- +goose StatementEnd
-- Of an entry of the audit log only names change, when somebody is forgotten.
-- +goose StatementBegin
CREATE TRIGGER audit_fixed BEFORE UPDATE ON audit
WHEN NEW.id <> OLD.id OR NEW.at <> OLD.at OR NEW.actor_id IS NOT OLD.actor_id OR NEW.action <> OLD.action
  OR NOT EXISTS (SELECT 1 FROM labelers WHERE forgotten_at IS NOT NULL)
BEGIN
  SELECT RAISE(ABORT, 'the audit log is only added to');
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER audit_fixed;
DROP TRIGGER rankings_stay;
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
DROP TRIGGER ranking_items_update;
-- +goose StatementBegin
CREATE TRIGGER ranking_items_update BEFORE UPDATE ON ranking_items
WHEN (SELECT sealed FROM rankings WHERE id = OLD.ranking_id) = 1
BEGIN
  SELECT RAISE(ABORT, 'a sealed ranking does not change');
END;
-- +goose StatementEnd
ALTER TABLE labelers DROP COLUMN last_seen_at;
