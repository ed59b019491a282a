-- name: add
WITH asked AS (
    INSERT INTO asks (ask_id, host_id, asker_id, body)
    SELECT ?, host_id, ?, ? FROM hosts WHERE name = ? AND state <> 'lost'
    ON CONFLICT (ask_id) DO UPDATE SET at = asks.at RETURNING host_id
)
SELECT pg_notify('foundry_hosts', host_id) FROM asked;

-- name: take
UPDATE asks SET begun = TRUE
WHERE answer IS NULL AND host_id = (SELECT host_id FROM hosts WHERE host_id = ? AND lease = ?)
AND NOT ask_id = ANY (?) AND at > clock_timestamp() - make_interval(secs => ?)
RETURNING ask_id, body;

-- name: answer
WITH answered AS (UPDATE asks SET answer = ? WHERE ask_id = ? RETURNING asker_id)
SELECT pg_notify('foundry_hosts', asker_id) FROM answered;

-- name: answer_to
SELECT answer FROM asks WHERE ask_id = ? AND answer IS NOT NULL;

-- name: take_back
DELETE FROM asks WHERE ask_id = ? RETURNING begun;

-- name: forget_old
DELETE FROM asks WHERE at < clock_timestamp() - make_interval(secs => ?);
