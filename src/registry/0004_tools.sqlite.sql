-- The tools that were carried out in a call, as a JSON array; empty: none, or erased. Daemons that are older than this leave the
-- column out.
ALTER TABLE calls ADD COLUMN tools TEXT;
-- The view for people, with the new column at its end.
DROP VIEW calls_readable;
CREATE VIEW calls_readable AS
SELECT row_id, call_id, recording_id, host, caller, called, erased, model, agent,
    strftime('%Y-%m-%d %H:%M:%f', offered_us / 1000000.0, 'unixepoch') AS offered_at,
    strftime('%Y-%m-%d %H:%M:%f', answered_us / 1000000.0, 'unixepoch') AS answered_at,
    strftime('%Y-%m-%d %H:%M:%f', first_audio_us / 1000000.0, 'unixepoch') AS first_audio_at,
    strftime('%Y-%m-%d %H:%M:%f', ended_us / 1000000.0, 'unixepoch') AS ended_at,
    duration_ms / 1000.0 AS duration_seconds, end_reason, turns, interruptions,
    greeting_ms, turn_p50_ms, turn_p95_ms, text_in, audio_in, cached_text_in, cached_audio_in, text_out, audio_out,
    estimated, cost_micro_usd / 1000000.0 AS cost_usd, agent_version, tools
FROM calls;
