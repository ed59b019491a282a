-- Hosts, what they ask each other, which of them has a task, and the demo's world, which they have in common.

ALTER TABLE tasks ADD COLUMN host TEXT COLLATE "C", ADD COLUMN provider TEXT COLLATE "C";
CREATE INDEX tasks_by_host ON tasks (host) WHERE ended = 0;

-- A `lease` rises when a host begins and when it is thought lost. `report` is JSON.
CREATE TABLE hosts (
    host_id TEXT COLLATE "C" PRIMARY KEY, name TEXT COLLATE "C" NOT NULL UNIQUE, lease BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL, report BYTEA NOT NULL, beat_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    -- Makes the lease part of a key: whoever writes under it holds it, without being in the way of what beats.
    UNIQUE (host_id, lease)
);

CREATE TABLE asks (
    ask_id TEXT COLLATE "C" PRIMARY KEY, host_id TEXT COLLATE "C" NOT NULL, asker_id TEXT COLLATE "C" NOT NULL,
    body BYTEA NOT NULL, begun BOOLEAN NOT NULL DEFAULT FALSE, answer BYTEA,
    at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX asks_waiting ON asks (host_id) WHERE NOT begun;

CREATE TABLE demo_world (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, task_id TEXT COLLATE "C" NOT NULL,
    once TEXT COLLATE "C" UNIQUE, body BYTEA NOT NULL
);
CREATE INDEX demo_world_by_task ON demo_world (task_id, number);
