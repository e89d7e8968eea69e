-- +goose Up
CREATE INDEX rankings_flagged ON rankings (created_at) WHERE flags <> '[]';

-- +goose Down
DROP INDEX rankings_flagged;
