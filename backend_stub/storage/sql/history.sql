-- name: add
INSERT INTO history (seq, task_id, body) VALUES (?, ?, ?);

-- name: page
SELECT body FROM history WHERE seq > ? ORDER BY seq LIMIT ?;

-- name: page_of_task
SELECT body FROM history WHERE task_id = ? AND seq > ? ORDER BY seq LIMIT ?;

-- name: last_of_task
-- The last ones, in order.
SELECT body FROM (SELECT seq, body FROM history WHERE task_id = ? ORDER BY seq DESC LIMIT ?) AS latest ORDER BY seq;

-- name: after
SELECT seq, body FROM history WHERE task_id = ? AND seq > ? ORDER BY seq;

-- name: forget
DELETE FROM history WHERE task_id = ?;
