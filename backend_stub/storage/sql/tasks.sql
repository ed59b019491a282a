-- name: add
INSERT INTO tasks (
    task_id, repo_id, status, created_at, revision, seq, summary, detail, private, request, host, provider, version
)
SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1
WHERE NOT EXISTS (SELECT 1 FROM pruned WHERE task_id = ?)
ON CONFLICT (task_id) DO NOTHING;

-- name: kept
SELECT version, revision FROM tasks WHERE task_id = ?;

-- name: change
UPDATE tasks
SET status = ?, revision = ?, seq = ?, summary = ?, detail = ?, private = ?, version = version + 1
WHERE task_id = ? AND version = ? AND revision < ?;

-- name: change_all_but_the_record
UPDATE tasks SET private = ?, version = version + 1 WHERE task_id = ? AND version = ?;

-- name: place
UPDATE tasks SET host = ?, provider = ? WHERE task_id = ?;

-- name: end
UPDATE tasks SET ended = 1 WHERE task_id = ? AND ended = 0;

-- name: request
SELECT request FROM tasks WHERE task_id = ?;

-- name: one
SELECT 1 FROM tasks WHERE task_id = ?;

-- name: detail
SELECT detail FROM tasks WHERE task_id = ?;

-- name: state
SELECT detail, private, version FROM tasks WHERE task_id = ?;

-- name: living
SELECT created_at, task_id, summary FROM tasks WHERE ended = 0 ORDER BY created_at, task_id;

-- name: newest_ended
SELECT created_at, task_id, summary FROM tasks WHERE ended = 1 ORDER BY created_at DESC, task_id DESC LIMIT ?;

-- name: age
SELECT created_at FROM tasks WHERE task_id = ?;

-- name: ended_before
SELECT task_id, summary FROM tasks
WHERE ended = 1 AND (created_at, task_id) < (?, ?)
ORDER BY created_at DESC, task_id DESC LIMIT ?;

-- name: count_ended_before
SELECT count(*) FROM tasks WHERE ended = 1 AND (created_at, task_id) < (?, ?);

-- name: count_all_before
SELECT count(*) FROM tasks WHERE ended IN (0, 1) AND (created_at, task_id) < (?, ?);

-- name: summaries_after
SELECT seq, task_id, summary FROM tasks WHERE seq > ?;

-- name: detail_after
SELECT seq, detail FROM tasks WHERE task_id = ? AND seq > ?;

-- name: forget
DELETE FROM tasks WHERE task_id = ?;
