"""Calls every operation of the API with the generated Python client, while the demo's calls run.

Usage: client.py URL OPENAPI_JSON
"""

import importlib
import json
import sys
import time

from generated_client import Client
from generated_client.models import HandOver, ListCallsFormat, GetStatsFormat, GetStatsBy, Problem

url, document = sys.argv[1:]
client = Client(base_url=url, timeout=30)
called = set()


def call(tag, operation, *path, expect=200, **query):
    """The parsed answer to an operation, which must have this status."""
    module = importlib.import_module(f"generated_client.api.{tag}.{operation}")
    answer = module.sync_detailed(*path, client=client, **query)
    called.add(operation)
    assert answer.status_code == expect, f"{operation}: {answer.status_code} {answer.content[:300]}"
    assert answer.parsed is not None or not answer.content, f"{operation}: the client cannot read the answer"
    return answer.parsed


def table(tag, operation, **query):
    """The same as CSV. The client has one parser per status, so only the request comes from the client."""
    module = importlib.import_module(f"generated_client.api.{tag}.{operation}")
    answer = client.get_httpx_client().request(**module._get_kwargs(**query))
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/csv"), answer
    return answer.text.splitlines()


def until(what, look):
    """Waits until `look` finds something and returns it."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    sys.exit(f"waited in vain for {what}")


def watched():
    """The first event of the stream, for whose end the client would wait forever."""
    module = importlib.import_module("generated_client.api.calls.watch_live_calls")
    with client.get_httpx_client().stream(**module._get_kwargs()) as answer:
        called.add("watch_live_calls")
        assert answer.headers["content-type"].startswith("text/event-stream"), answer
        for line in answer.iter_lines():
            if line.startswith("data:"):
                return json.loads(line.removeprefix("data:"))


def with_words():
    """A call in which someone has spoken."""
    return next((live for live in call("calls", "list_live_calls").calls if live.words), None)


live = until("a call", with_words)
assert watched()["state"]["asterisk"] == "connected"

assert call("daemon", "get_health").version
assert call("daemon", "get_readiness").ready
assert "openai_inbound_calls_calls_live 1" in call("daemon", "get_metrics")

assert live.id in [one.id for one in call("calls", "list_calls", limit=5).calls]
assert call("calls", "get_call", live.id).recording_id == live.recording_id
assert table("calls", "list_calls", format_=ListCallsFormat.CSV)[0].startswith("id,")
assert call("calls", "get_stats", by=GetStatsBy.HOUR).stats[0].calls >= 1
assert table("calls", "get_stats", format_=GetStatsFormat.CSV)[0].startswith("key,")

refused = call("calls", "transfer_call", live.id, body=HandOver(destination="nowhere"), expect=422)
assert isinstance(refused, Problem) and refused.code == "no_such_destination", refused
call("calls", "hang_up_call", live.id, expect=202)

recording = live.recording_id
until("the end", lambda: call("recordings", "get_recording", recording).state == "finished")
assert recording in [one.id for one in call("recordings", "list_recordings", limit=5).recordings]
assert call("recordings", "get_conversation", recording)["call_id"]
assert call("recordings", "get_summary", recording)
assert call("recordings", "get_events", recording)
sound = call("recordings", "get_audio", recording).payload.read()
assert sound[:4] == b"RIFF" and sound[8:12] == b"WAVE", sound[:12]
part = call("recordings", "get_audio", recording, range_="bytes=0-3", expect=206)
assert part.payload.read() == b"RIFF"
assert call("recordings", "get_audio_bin", recording).payload.read()
call("recordings", "delete_recording", recording, expect=204)
assert call("recordings", "get_recording", recording, expect=404).code == "no_such_recording"

with open(document, encoding="utf-8") as text:
    paths = json.load(text)["paths"]
operations = {told["operationId"] for path in paths.values() for told in path.values()}
assert called == operations, f"not called: {operations - called}"
print(f"{len(called)} operations called")
