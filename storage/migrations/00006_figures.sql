-- +goose Up
CREATE INDEX rankings_extra ON rankings (task_id) WHERE extra = 1;

-- +goose Down
DROP INDEX rankings_extra;
