-- name: between
-- Given an equation, SQLite would take the primary key, and look at every branch of the repository.
SELECT branch, task_id FROM branches
WHERE repo_id = ? AND branch >= ? COLLATE NOCASE AND branch <= ? COLLATE NOCASE
LIMIT 2;
