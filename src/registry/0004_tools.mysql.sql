-- The tools that were carried out in a call, as a JSON array; empty: none, or erased. Daemons that are older than this leave the
-- column out. The statements may be repeated.
SET @change = IF((SELECT COUNT(*) FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'calls' AND COLUMN_NAME = 'tools') > 0, 'DO 0',
    'ALTER TABLE calls
        ADD COLUMN tools TEXT
            COMMENT ''the tools that were carried out, as a JSON array; empty: none, or erased''');
PREPARE change_calls FROM @change;
EXECUTE change_calls;
DEALLOCATE PREPARE change_calls;
