-- name: add
INSERT INTO stage_log (task_id, number, stage, seq, body) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (task_id, number) DO NOTHING;

-- name: drop_below
DELETE FROM stage_log WHERE task_id = ? AND number < ?;

-- name: last
SELECT max(number) FROM stage_log WHERE task_id = ?;

-- name: page
SELECT body FROM stage_log
WHERE task_id = ? AND number > ? AND (CAST(? AS TEXT) IS NULL OR stage = ?)
ORDER BY number LIMIT ?;

-- name: of_task
SELECT body FROM stage_log WHERE task_id = ? ORDER BY number;

-- name: after
SELECT seq, body FROM stage_log WHERE task_id = ? AND seq > ? ORDER BY number;

-- name: forget
DELETE FROM stage_log WHERE task_id = ?;
