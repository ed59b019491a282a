-- name: hold
INSERT INTO branches (repo_id, branch, task_id) VALUES (?, ?, ?) ON CONFLICT (repo_id, branch) DO NOTHING;

-- name: forget
DELETE FROM branches WHERE task_id = ?;

-- name: holder
SELECT task_id FROM branches WHERE repo_id = ? AND branch = ?;

-- name: of_repo
SELECT branch, task_id FROM branches WHERE repo_id = ?;
