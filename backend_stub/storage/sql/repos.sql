-- name: write
-- Whoever writes has read the row in the same transaction.
INSERT INTO repos (repo_id, seq, body) VALUES (?, ?, ?)
ON CONFLICT (repo_id) DO UPDATE SET seq = excluded.seq, body = excluded.body;

-- name: one
SELECT body FROM repos WHERE repo_id = ?;

-- name: all
SELECT body FROM repos ORDER BY repo_id;

-- name: after
SELECT seq, body FROM repos WHERE seq > ?;
