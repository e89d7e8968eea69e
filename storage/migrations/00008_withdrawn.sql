-- A withdrawn task of a database that was taken down to version 1 came up again as one that has all its rankings.

-- +goose Up
UPDATE tasks SET open = 1, withdrawn = 1 WHERE open = 0 AND (overlap = 0 OR done < overlap);

-- +goose Down
SELECT 1;
