-- name: of_task
-- In the order in which they were asked for.
SELECT body FROM sessions WHERE task_id = ? ORDER BY rowid;

-- name: of_living_tasks
SELECT task_id, body FROM sessions
WHERE task_id IN (SELECT task_id FROM tasks WHERE ended = 0)
ORDER BY rowid;

-- name: of_tasks
SELECT task_id, body FROM sessions WHERE task_id IN (SELECT value FROM json_each(?)) ORDER BY rowid;
