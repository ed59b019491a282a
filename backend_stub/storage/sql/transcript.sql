-- name: write
-- Nothing is written over another item, nor over a revision that is as new.
INSERT INTO transcript (session_id, number, task_id, item_id, revision, seq, body) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (session_id, number) DO UPDATE SET revision = excluded.revision, seq = excluded.seq, body = excluded.body
WHERE transcript.revision < excluded.revision
    AND transcript.item_id = excluded.item_id AND transcript.task_id = excluded.task_id;

-- name: keys
SELECT item_id, number, revision FROM transcript WHERE session_id = ?;

-- name: of_session
SELECT body FROM transcript WHERE session_id = ? ORDER BY number;

-- name: after
SELECT seq, body FROM transcript WHERE session_id = ? AND seq > ?;

-- name: forget
DELETE FROM transcript WHERE task_id = ?;
