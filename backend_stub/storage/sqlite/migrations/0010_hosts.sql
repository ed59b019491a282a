-- Which host has a task, and which provider its sandbox is of.
ALTER TABLE tasks ADD COLUMN host TEXT;
ALTER TABLE tasks ADD COLUMN provider TEXT;
