"""Verifies webhooks with the package openai, and signs one with standardwebhooks, because openai has no signer.

It reads lines of JSON, and answers each with one: {"secret", "id", "timestamp", "signature", "body", "tolerance"} with {"type", "call_id"} or
{"error"}, and {"sign": body, "secret", "id", "timestamp"} with {"signature"}.
"""

import json
import sys
from datetime import datetime, timezone

from openai import InvalidWebhookSignatureError, OpenAI
from standardwebhooks import Webhook

client = OpenAI(api_key="none", base_url="http://127.0.0.1:1")


def verify(asked):
    headers = {
        "webhook-id": asked["id"],
        "webhook-timestamp": asked["timestamp"],
        "webhook-signature": asked["signature"],
    }
    body, secret = asked["body"].encode(), asked["secret"]
    try:
        client.webhooks.verify_signature(body, headers, secret=secret, tolerance=asked["tolerance"])
        if asked["tolerance"] != 300:
            return {"verified": True}
        event = client.webhooks.unwrap(body, headers, secret=secret)
        return {"verified": True, "type": event.type, "call_id": event.data.call_id}
    except InvalidWebhookSignatureError as error:
        return {"error": str(error)}


def sign(asked):
    at = datetime.fromtimestamp(int(asked["timestamp"]), tz=timezone.utc)
    return {"signature": Webhook(asked["secret"]).sign(asked["id"], at, asked["sign"])}


for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps(sign(asked) if "sign" in asked else verify(asked)), flush=True)
