-- name: between
SELECT branch, task_id FROM branches
WHERE repo_id = ? AND lower(branch) >= lower(? COLLATE "C") AND lower(branch) <= lower(? COLLATE "C")
LIMIT 2;
