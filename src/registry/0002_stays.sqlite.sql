-- One row for each stay of a caller in the application: `call_id` alone, which Asterisk gives, is not its key. A caller may
-- come back with it, and another Asterisk may give the same. SQLite cannot change the key of a table: it is made anew.
CREATE TABLE stays (
    -- The key, time-ordered and unlike that of any other row anywhere. Rows from before have HOST:CALL_ID.
    row_id          VARCHAR(255) NOT NULL PRIMARY KEY,
    call_id         VARCHAR(160) NOT NULL,
    recording_id    VARCHAR(160),
    host            VARCHAR(255) NOT NULL,
    caller          VARCHAR(255) NOT NULL,
    -- The caller as numbers are compared, and how that ends.
    caller_key      VARCHAR(255) NOT NULL,
    caller_tail     VARCHAR(9)   GENERATED ALWAYS AS (substr(caller_key, -9)) VIRTUAL,
    called          VARCHAR(255) NOT NULL,
    model           VARCHAR(255) NOT NULL,
    agent           VARCHAR(255) NOT NULL,
    offered_us      BIGINT       NOT NULL,
    answered_us     BIGINT,
    first_audio_us  BIGINT,
    ended_us        BIGINT,
    duration_ms     BIGINT,
    -- NULL: it is running.
    end_reason      VARCHAR(64),
    turns           BIGINT       NOT NULL,
    interruptions   BIGINT       NOT NULL,
    greeting_ms     BIGINT,
    turn_p50_ms     BIGINT,
    turn_p95_ms     BIGINT,
    -- The tokens of one call are all known or all NULL. What was cached is part of what went in.
    text_in         BIGINT,
    audio_in        BIGINT,
    cached_text_in  BIGINT,
    cached_audio_in BIGINT,
    text_out        BIGINT,
    audio_out       BIGINT,
    -- 1: the tokens are our own count, not the server's.
    estimated       SMALLINT     NOT NULL,
    -- Millionths of a US dollar.
    cost_micro_usd  BIGINT,
    -- 1: who called whom was erased and is not to come back.
    erased          SMALLINT     NOT NULL,
    -- Its place among what waits for the server; NULL: the server has it as it is.
    due             BIGINT
);
INSERT INTO stays (row_id, call_id, recording_id, host, caller, caller_key, called, model, agent, offered_us, answered_us,
    first_audio_us, ended_us, duration_ms, end_reason, turns, interruptions, greeting_ms, turn_p50_ms, turn_p95_ms, text_in,
    audio_in, cached_text_in, cached_audio_in, text_out, audio_out, estimated, cost_micro_usd, erased, due)
SELECT substr(host || ':' || call_id, 1, 255), call_id, recording_id, host, caller, caller_key, called, model, agent,
    offered_us, answered_us, first_audio_us, ended_us, duration_ms, end_reason, turns, interruptions, greeting_ms,
    turn_p50_ms, turn_p95_ms, text_in, audio_in, cached_text_in, cached_audio_in, text_out, audio_out, estimated,
    cost_micro_usd, erased, due
FROM calls;
DROP TABLE calls;
ALTER TABLE stays RENAME TO calls;
CREATE INDEX calls_by_time ON calls (offered_us, row_id);
CREATE INDEX calls_by_call ON calls (call_id, offered_us, row_id);
CREATE INDEX calls_by_caller ON calls (caller_key, offered_us, row_id);
CREATE INDEX calls_by_tail ON calls (caller_tail, offered_us, row_id);
CREATE INDEX calls_by_recording ON calls (recording_id);
CREATE INDEX calls_by_due ON calls (due);
-- A caller who was not taken used nothing and cost nothing, which was not noted.
UPDATE calls SET text_in = 0, audio_in = 0, cached_text_in = 0, cached_audio_in = 0, text_out = 0, audio_out = 0,
    cost_micro_usd = 0
WHERE model = '' AND end_reason IS NOT NULL AND text_in IS NULL AND cost_micro_usd IS NULL;
-- A number may be erased by how it ends.
ALTER TABLE erasures ADD COLUMN caller_tail VARCHAR(9);
-- The same for people: times as such, in UTC, and cost in dollars.
CREATE VIEW calls_readable AS
SELECT row_id, call_id, recording_id, host, caller, called, erased, model, agent,
    strftime('%Y-%m-%d %H:%M:%f', offered_us / 1000000.0, 'unixepoch') AS offered_at,
    strftime('%Y-%m-%d %H:%M:%f', answered_us / 1000000.0, 'unixepoch') AS answered_at,
    strftime('%Y-%m-%d %H:%M:%f', first_audio_us / 1000000.0, 'unixepoch') AS first_audio_at,
    strftime('%Y-%m-%d %H:%M:%f', ended_us / 1000000.0, 'unixepoch') AS ended_at,
    duration_ms / 1000.0 AS duration_seconds, end_reason, turns, interruptions,
    greeting_ms, turn_p50_ms, turn_p95_ms, text_in, audio_in, cached_text_in, cached_audio_in, text_out, audio_out,
    estimated, cost_micro_usd / 1000000.0 AS cost_usd
FROM calls;
