-- What the webhook of OpenAI has offered: the ids of webhooks and of calls. They are in this file only, also if there is a server: a
-- server that is away would delay calls.
CREATE TABLE claims (
    -- 'webhook' or 'call'.
    kind       VARCHAR(16)  NOT NULL,
    id         VARCHAR(160) NOT NULL,
    -- UTC, in microseconds.
    claimed_us BIGINT       NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE INDEX claims_by_time ON claims (claimed_us);
