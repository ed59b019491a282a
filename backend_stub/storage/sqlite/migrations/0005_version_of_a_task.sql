-- Of all the rows of a task: it rises by one with each change, also with those that leave the task's record as it is,
-- so that a change made from older rows is refused.

ALTER TABLE tasks ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
