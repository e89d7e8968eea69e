-- Somebody who has been forgotten while a request of theirs was on its way leaves nothing new behind.

-- +goose Up
-- +goose StatementBegin
CREATE TRIGGER drafts_of_nobody BEFORE INSERT ON drafts
WHEN (SELECT l.forgotten_at FROM assignments a JOIN labelers l ON l.id = a.labeler_id WHERE a.id = NEW.assignment_id) IS NOT NULL
BEGIN
  SELECT RAISE(ABORT, 'the labeler has been forgotten');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER rankings_of_nobody BEFORE INSERT ON rankings
WHEN NEW.imported = 0 AND (SELECT forgotten_at FROM labelers WHERE id = NEW.labeler_id) IS NOT NULL
BEGIN
  SELECT RAISE(ABORT, 'the labeler has been forgotten');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER skips_of_nobody BEFORE INSERT ON skips
WHEN (SELECT forgotten_at FROM labelers WHERE id = NEW.labeler_id) IS NOT NULL
BEGIN
  SELECT RAISE(ABORT, 'the labeler has been forgotten');
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER drafts_of_nobody;
DROP TRIGGER rankings_of_nobody;
DROP TRIGGER skips_of_nobody;
