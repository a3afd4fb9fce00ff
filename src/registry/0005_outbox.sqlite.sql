-- Messages about ended calls that wait for their receivers. They are in this file only, also if there is a server: like its rows,
-- they are on their way.
CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The stay of the caller, as in `calls`.
    row_id       VARCHAR(255) NOT NULL,
    call_id      VARCHAR(160) NOT NULL,
    -- Whose message it is: agent and address are looked up in the files of agents when it is sent.
    agent        VARCHAR(255) NOT NULL,
    address      VARCHAR(255) NOT NULL,
    -- By these the messages of a caller, or of a deleted recording, are found and erased.
    recording_id VARCHAR(160),
    caller_key   VARCHAR(255) NOT NULL,
    caller_tail  VARCHAR(9)   GENERATED ALWAYS AS (substr(caller_key, -9)) VIRTUAL,
    -- Times are UTC, in microseconds.
    made_us      BIGINT       NOT NULL,
    attempts     BIGINT       NOT NULL,
    -- When it is sent next. NULL: it was given up.
    due_us       BIGINT,
    -- What came of the last attempt; empty: there was none.
    answer       VARCHAR(255) NOT NULL,
    body         TEXT         NOT NULL,
    UNIQUE (row_id, agent, address)
);
CREATE INDEX outbox_by_due ON outbox (due_us, id);
CREATE INDEX outbox_by_caller ON outbox (caller_key);
CREATE INDEX outbox_by_tail ON outbox (caller_tail);
CREATE INDEX outbox_by_recording ON outbox (recording_id);
