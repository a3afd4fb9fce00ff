-- The table `calls` for people: times as such, in UTC, and costs in dollars. MySQL rounds a quotient to four decimals, but a
-- product keeps all digits.
CREATE OR REPLACE VIEW calls_readable AS
SELECT row_id, call_id, recording_id, host, caller, called, erased, model, agent,
    TIMESTAMPADD(MICROSECOND, offered_us, TIMESTAMP'1970-01-01 00:00:00') AS offered_at,
    TIMESTAMPADD(MICROSECOND, answered_us, TIMESTAMP'1970-01-01 00:00:00') AS answered_at,
    TIMESTAMPADD(MICROSECOND, first_audio_us, TIMESTAMP'1970-01-01 00:00:00') AS first_audio_at,
    TIMESTAMPADD(MICROSECOND, ended_us, TIMESTAMP'1970-01-01 00:00:00') AS ended_at,
    duration_ms * 0.001 AS duration_seconds, end_reason, turns, interruptions,
    greeting_ms, turn_p50_ms, turn_p95_ms, text_in, audio_in, cached_text_in, cached_audio_in, text_out, audio_out,
    estimated, cost_micro_usd * 0.000001 AS cost_usd, agent_version, tools
FROM calls
