-- name: add
INSERT INTO pruned (task_id, seq, at) VALUES (?, ?, ?);

-- name: after
SELECT seq, task_id FROM pruned WHERE seq > ?;
