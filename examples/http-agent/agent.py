"""An agent over plain HTTP: a signed JSON POST comes in, `{"reply": "…"}` goes out. Only the standard library."""

import base64
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["SIGNING_SECRET"].removeprefix("whsec_"))


class Agent(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        identifier, timestamp = self.headers.get("webhook-id", ""), self.headers.get("webhook-timestamp", "0")
        digest = hmac.new(KEY, f"{identifier}.{timestamp}.".encode() + body, hashlib.sha256).digest()
        expected = "v1," + base64.b64encode(digest).decode()
        fresh = abs(time.time() - int(timestamp)) < 300
        if not fresh or not hmac.compare_digest(expected, self.headers.get("webhook-signature", "")):
            self.send_error(401)
            return
        turn = json.loads(body)
        who = turn["contact"].get("name") or "stranger"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"reply": f"Hello {who}, you said: {turn['messages'][-1]['text']}"}).encode())


if __name__ == "__main__":
    server = ThreadingHTTPServer((os.environ.get("HOST", "0.0.0.0"), int(os.environ.get("PORT", "8080"))), Agent)
    print(f"http://{server.server_address[0]}:{server.server_port}", flush=True)
    server.serve_forever()
