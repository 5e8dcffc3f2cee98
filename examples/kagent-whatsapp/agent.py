"""A small A2A agent (protocol 0.3), to stand in for kagent where there is none. Only the standard library.

It remembers how many messages each context had, as an agent with memory would remember what was said.
"""

import json
import os
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

SEEN: Counter[str] = Counter()


def reply(message: dict) -> dict:
    context = message.get("contextId") or str(uuid4())
    SEEN[context] += 1
    text = " ".join(part["text"] for part in message["parts"] if part["kind"] == "text")
    answer = {"kind": "text", "text": f"Message {SEEN[context]} of this conversation: {text}"}
    return {
        "kind": "task",
        "id": str(uuid4()),
        "contextId": context,
        "status": {"state": "completed"},
        "artifacts": [{"artifactId": str(uuid4()), "parts": [answer]}],
    }


class Agent(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if not self.path.endswith("/.well-known/agent-card.json"):
            self.send_error(404)
            return
        base = f"http://{self.headers['Host']}{self.path.removesuffix('/.well-known/agent-card.json')}"
        self.answer(
            {
                "protocolVersion": "0.3.0",
                "name": "support",
                "description": "Counts messages.",
                "version": "1.0.0",
                "url": base,
                "preferredTransport": "JSONRPC",
                "capabilities": {},
                "defaultInputModes": ["text/plain"],
                "defaultOutputModes": ["text/plain"],
                "skills": [],
            }
        )

    def do_POST(self) -> None:
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if call["method"] == "message/send":
            self.answer({"jsonrpc": "2.0", "id": call["id"], "result": reply(call["params"]["message"])})
        else:
            error = {"code": -32601, "message": "Method not found"}
            self.answer({"jsonrpc": "2.0", "id": call["id"], "error": error})

    def answer(self, body: dict) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


if __name__ == "__main__":
    server = ThreadingHTTPServer((os.environ.get("HOST", "0.0.0.0"), int(os.environ.get("PORT", "8080"))), Agent)
    print(f"http://{server.server_address[0]}:{server.server_port}", flush=True)
    server.serve_forever()
