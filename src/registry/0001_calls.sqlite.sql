-- One row for each call. Times are UTC, in microseconds; whatever is NULL is not known (yet).
CREATE TABLE calls (
    call_id         VARCHAR(160) NOT NULL PRIMARY KEY,
    recording_id    VARCHAR(160),
    host            VARCHAR(255) NOT NULL,
    caller          VARCHAR(255) NOT NULL,
    -- The caller as numbers are compared.
    caller_key      VARCHAR(255) NOT NULL,
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
CREATE INDEX calls_by_time ON calls (offered_us, call_id);
CREATE INDEX calls_by_caller ON calls (caller_key, offered_us, call_id);
CREATE INDEX calls_by_recording ON calls (recording_id);
CREATE INDEX calls_by_due ON calls (due);
-- Erasures the server has not heard of.
CREATE TABLE erasures (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    recording_id VARCHAR(160),
    caller_key   VARCHAR(255)
);
