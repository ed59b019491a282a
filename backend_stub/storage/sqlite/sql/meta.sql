-- name: all
SELECT key, value FROM meta;

-- name: seq
SELECT value FROM meta WHERE key = 'seq';

-- name: set_seq
UPDATE meta SET value = ? WHERE key = 'seq';

-- name: ended
SELECT value FROM meta WHERE key = 'ended';

-- name: count_ended
-- How many tasks have ended: counting them would look at each.
UPDATE meta SET value = CAST(value + ? AS TEXT) WHERE key = 'ended';

-- name: set_database
UPDATE meta SET value = ? WHERE key = 'database';

-- name: touch
-- Writes what is there, to find out whether anything can be written.
UPDATE meta SET value = value WHERE key = 'seq';
