-- In which forms a host reads what stands in the log; the first of them until it says otherwise.

ALTER TABLE hosts ADD COLUMN reads BIGINT NOT NULL DEFAULT 1;
