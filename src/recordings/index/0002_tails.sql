-- How the caller's number ends, by which numbers are compared where the country of the line is not known.
ALTER TABLE recordings ADD COLUMN caller_tail VARCHAR(9) GENERATED ALWAYS AS (substr(caller_key, -9)) VIRTUAL;
CREATE INDEX recordings_by_tail ON recordings (caller_tail, started_ms, id);
