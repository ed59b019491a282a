-- name: of_name
SELECT host_id, state <> 'lost' AND beat_at > clock_timestamp() - make_interval(secs => ?)
FROM hosts WHERE name = ? AND host_id <> ? FOR UPDATE;

-- name: count_bound
SELECT count(*) FROM tasks WHERE host = ? AND ended = 0 AND NOT provider = ANY (?);

-- name: forget
DELETE FROM hosts WHERE host_id = ?;

-- name: register
INSERT INTO hosts (host_id, name, lease, state, report, reads) VALUES (?, ?, 1, 'up', ?, ?)
ON CONFLICT (host_id) DO UPDATE SET
    name = excluded.name, lease = hosts.lease + 1, state = 'up', report = excluded.report, reads = excluded.reads,
    beat_at = clock_timestamp()
RETURNING lease;

-- name: state
SELECT state FROM hosts WHERE host_id = ? FOR UPDATE;

-- name: beat
UPDATE hosts SET state = ?, report = ?, beat_at = clock_timestamp() WHERE host_id = ? AND lease = ?;

-- name: is_latest
SELECT 1 FROM hosts WHERE host_id = ? AND lease = ? FOR KEY SHARE;

-- name: leave
UPDATE hosts SET state = 'lost', lease = lease + 1, beat_at = clock_timestamp() WHERE host_id = ? AND lease = ?;

-- name: silent
SELECT host_id FROM hosts WHERE state <> 'lost' AND beat_at < clock_timestamp() - make_interval(secs => ?);

-- name: cut
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = ?;

-- name: mark_lost
UPDATE hosts SET state = 'lost', lease = lease + 1
WHERE state <> 'lost' AND beat_at < clock_timestamp() - make_interval(secs => ?);

-- name: forget_lost
-- One that has nothing left, and is gone for long.
DELETE FROM hosts
WHERE state = 'lost' AND beat_at < clock_timestamp() - make_interval(secs => ?)
AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.host = hosts.name AND ended = 0);

-- name: all
SELECT
    host_id, name, state, report, (extract(epoch FROM beat_at) * 1000)::BIGINT, reads,
    state = 'lost' AND beat_at < clock_timestamp() - make_interval(secs => ?)
FROM hosts ORDER BY name;

-- name: homeless
-- Of tasks that are bound to a host, those of hosts that nobody was told of.
SELECT task_id, host FROM tasks
WHERE ended = 0 AND (host IS NULL OR NOT EXISTS (SELECT 1 FROM hosts WHERE name = host AND state <> 'lost'))
AND (host IS NULL OR provider = ANY (?) OR NOT host = ANY (?))
ORDER BY created_at, task_id;

-- name: of_key
SELECT host FROM tasks WHERE task_id = coalesce(
    (SELECT task_id FROM sessions WHERE session_id = ?), (SELECT task_id FROM permissions WHERE permission_id = ?),
    (SELECT task_id FROM operations WHERE operation_id = ?), ?
);

-- name: tasks_of
SELECT task_id FROM tasks WHERE host = ? AND task_id = ANY (?) ORDER BY created_at, task_id;
