-- One row for each recording. What SQLite, MySQL and MariaDB all take; times are UTC, in milliseconds.
CREATE TABLE recordings (
    id            VARCHAR(160) NOT NULL PRIMARY KEY,
    state         VARCHAR(16)  NOT NULL,
    sealed        SMALLINT     NOT NULL,
    bytes         BIGINT       NOT NULL,
    started_ms    BIGINT       NOT NULL,
    -- The rest is told by the conversation; told = 0: it is encrypted and nobody here can read it.
    told          SMALLINT     NOT NULL,
    started       VARCHAR(32)  NOT NULL,
    utc_offset    INTEGER,
    duration_ms   BIGINT       NOT NULL,
    caller        VARCHAR(255) NOT NULL,
    caller_key    VARCHAR(255) NOT NULL,
    called        VARCHAR(255) NOT NULL,
    model         VARCHAR(255) NOT NULL,
    agent         VARCHAR(255) NOT NULL,
    end_reason    VARCHAR(64)  NOT NULL,
    interruptions BIGINT       NOT NULL,
    messages      BIGINT       NOT NULL
);
CREATE INDEX recordings_by_start ON recordings (started_ms, id);
CREATE INDEX recordings_by_caller ON recordings (caller_key, started_ms, id);
