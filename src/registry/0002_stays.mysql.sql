-- One row for each stay of a caller in the application: `call_id` alone, which Asterisk gives, is not its key. A caller may
-- come back with it, and another Asterisk may give the same. Rows from before, and those of daemons that are older than
-- this, have the key HOST:CALL_ID.
-- MySQL has no transactions over tables. Each statement is made as a whole or not at all, and may be repeated: what was
-- made already is left out. New columns stand at the end, where MySQL before 8.0.19 gives existing rows the right default.
SET @change = IF((SELECT COUNT(*) FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'calls' AND COLUMN_NAME = 'row_id') > 0, 'DO 0',
    'ALTER TABLE calls
        ADD COLUMN row_id VARCHAR(255) NOT NULL DEFAULT (LEFT(CONCAT(host, '':'', call_id), 255))
            COMMENT ''the key: time-ordered, and unlike that of any other row anywhere'',
        DROP PRIMARY KEY,
        ADD PRIMARY KEY (row_id),
        DROP KEY calls_by_time,
        DROP KEY calls_by_caller,
        ADD KEY calls_by_time (offered_us, row_id),
        ADD KEY calls_by_call (call_id, offered_us, row_id),
        ADD KEY calls_by_caller (caller_key, offered_us, row_id)');
PREPARE change_calls FROM @change;
EXECUTE change_calls;
DEALLOCATE PREPARE change_calls;
SET @change = IF((SELECT COUNT(*) FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'calls' AND COLUMN_NAME = 'caller_tail') > 0, 'DO 0',
    'ALTER TABLE calls
        ADD COLUMN caller_tail VARCHAR(9) GENERATED ALWAYS AS (RIGHT(caller_key, 9)) VIRTUAL
            COMMENT ''how the caller ends'',
        ADD KEY calls_by_tail (caller_tail, offered_us, row_id)');
PREPARE change_calls FROM @change;
EXECUTE change_calls;
DEALLOCATE PREPARE change_calls;
-- A caller who was not taken used nothing and cost nothing, which was not noted.
UPDATE calls SET text_in = 0, audio_in = 0, cached_text_in = 0, cached_audio_in = 0, text_out = 0, audio_out = 0,
    cost_micro_usd = 0
WHERE model = '' AND end_reason IS NOT NULL AND text_in IS NULL AND cost_micro_usd IS NULL;
