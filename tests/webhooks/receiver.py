"""A receiver of webhooks that verifies them with the package standardwebhooks.

It prints its port, and then one line of JSON for each message: the id, and either the message or what is wrong with it.
The secret is the variable SECRET.
"""

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["SECRET"])


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        said = {"id": self.headers["webhook-id"]}
        try:
            webhook.verify(body, dict(self.headers.items()))
            said["message"] = json.loads(body)
        except WebhookVerificationError as error:
            said["error"] = str(error)
        print(json.dumps(said), flush=True)
        self.send_response(400 if "error" in said else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
server.serve_forever()
