-- name: add
INSERT INTO attachments (prompt_id, task_id, body) VALUES (?, ?, ?);

-- name: hand_on
-- A prompt that failed is said again as another one.
UPDATE attachments SET prompt_id = ? WHERE prompt_id = ? AND task_id = ?;

-- name: of_prompt
SELECT body FROM attachments WHERE prompt_id = ?;

-- name: drop
-- The prompt is done with for good; one that failed may be said again.
DELETE FROM attachments WHERE prompt_id = ?;

-- name: forget
DELETE FROM attachments WHERE task_id = ?;
