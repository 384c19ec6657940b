"""Serve a bundle as if it were a language model behind an API, so that examples run without a key.

`python examples/stand_in.py BUNDLE --port 8090`. It answers the prompts of `llm_prompt` with one of the bundle's labels, for whatever text
stands last between <text> and </text>. Its answers are those of a model that has learned from more rows than the product has; price and delay of a
language model are simulated. With a key, put the service and the model of your provider in its place.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import rung

_TEXT = re.compile(r"<text>(.*?)</text>\s*$", re.S)
_CHARS_PER_TOKEN = 4


class StandIn(ThreadingHTTPServer):
    """A server that answers chats with a bundle. delay_s: waited before each answer. calls: how many were answered."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, bundle: str, port: int = 0, delay_s: float = 0.0) -> None:
        super().__init__(("127.0.0.1", port), _Chat)
        self.model, self.delay_s, self.calls = rung.load(bundle), delay_s, 0
        self.lock = threading.Lock()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def label(self, prompt: str) -> str:
        """Return the bundle's answer to the text of a prompt; to the whole prompt where none is marked."""
        found = _TEXT.search(prompt)
        text = found[1] if found else prompt
        with self.lock:
            self.calls += 1
        (answer,) = self.model.predict([{self.model.schema.input_names[0]: text or " ."}])
        return str(answer.value)


class _Chat(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: StandIn

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        messages = body.get("messages") or [{"content": body.get("prompt", "")}]
        time.sleep(self.server.delay_s)
        said = json.dumps({"label": self.server.label(messages[-1]["content"])}, ensure_ascii=False)
        sent = sum(len(message["content"]) for message in messages)
        self._send(
            {
                "model": "stand-in",
                "choices": [{"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": sent // _CHARS_PER_TOKEN + 1, "completion_tokens": len(said) // _CHARS_PER_TOKEN + 1},
            }
        )  # fmt: skip

    def do_GET(self) -> None:
        self._send({"data": [{"id": "stand-in"}]})

    def _send(self, reply: dict[str, Any]) -> None:
        data = json.dumps(reply, ensure_ascii=False).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    options = parser.parse_args()
    with StandIn(options.bundle, options.port, options.delay) as server:
        sys.stdout.write(f"answers at {server.base}, model stand-in\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
