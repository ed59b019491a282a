-- What an agent offers in a session is long and changes seldom: lists of sessions go without it.

ALTER TABLE sessions ADD COLUMN offer BLOB NOT NULL DEFAULT x'';
UPDATE sessions SET offer = CAST(
    '{"options":[],"commands":[],"accepts":{"image":false,"audio":false,"embedded":false,"steering":false}}' AS BLOB
);
