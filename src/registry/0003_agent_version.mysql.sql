-- The version of the agent that served the call; empty: no files describe the agent, or the row is older than this column. Daemons
-- that are older than this leave the column out. The statements may be repeated.
SET @change = IF((SELECT COUNT(*) FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'calls' AND COLUMN_NAME = 'agent_version') > 0, 'DO 0',
    'ALTER TABLE calls
        ADD COLUMN agent_version VARCHAR(255) NOT NULL DEFAULT ''''
            COMMENT ''the version of the agent; empty: no files describe the agent''');
PREPARE change_calls FROM @change;
EXECUTE change_calls;
DEALLOCATE PREPARE change_calls;
