"""A language model over loopback that answers as a test says: well, badly, late or not at all."""

import json
import re
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def completion(text, usage=(20, 3), model="test-1", finish="stop", **more):
    """Return the reply of a well-behaved server. usage: tokens in and out, None for none."""
    found = {
        "model": model,
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": finish, **more}],
    }
    if usage is not None:
        found["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    return found


def tokens_of(text, others=None, logprob=-0.1):
    """Return log-probabilities of an answer, a character a token. others: {place: {token: logprob}}."""
    content = [
        {
            "token": c,
            "logprob": logprob,
            "top_logprobs": [{"token": t, "logprob": p} for t, p in (others or {}).get(i, {}).items()],
        }
        for i, c in enumerate(text)
    ]
    return {"content": content}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Otherwise a reply in two packets waits 40 ms for an acknowledgement.
    disable_nagle_algorithm = True

    def do_GET(self):
        self._send(200, {}, {"data": [{"id": "test-1"}, {"id": "test-2"}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.seen.append((self.path, body, dict(self.headers)))
            self.server.busy += 1
            self.server.most = max(self.server.most, self.server.busy)
        try:
            reply = self.server.reply(body, len(self.server.seen))
            reply = reply if isinstance(reply, tuple) else (200, {}, reply)
            self._send(*reply)
        finally:
            with self.server.lock:
                self.server.busy -= 1

    def _send(self, status, headers, content):
        if status == "hang up":
            self.close_connection = True
            self.connection.close()
            return
        if status == "drip":  # Bytes that come too slowly to ever be whole.
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.close_connection = True
            with suppress(OSError):
                for _ in range(40):
                    self.wfile.write(b" ")
                    time.sleep(0.05)
            return
        if status == "events":
            self._events(content, **headers)
            return
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        cut = headers.pop("cut", False)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with suppress(OSError):  # The client may have given up.
            self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = cut

    def _events(self, pieces, done=True, usage=None):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for place, piece in enumerate(pieces):
            finish = "stop" if done and place == len(pieces) - 1 else None
            event = {"model": "test-1", "choices": [{"delta": {"content": piece}, "finish_reason": finish}]}
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        if usage:
            self.wfile.write(f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n".encode())
        if done:
            self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def log_message(self, *args):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def llm_server(reply):
    """Yield a running server. reply: (body, number of the request) -> a JSON reply, or (status, headers, content).

    Beside HTTP statuses: "hang up", "drip", "events" (content: pieces; headers: done, usage); a header `cut` sends half.
    `seen` holds the requests, `most` the most that ran at a time.
    """
    server = _Server(("127.0.0.1", 0), _Handler)
    server.reply, server.seen, server.busy, server.most, server.lock = reply, [], 0, 0, threading.Lock()
    server.base = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def replies(*given):
    """Return a reply function that gives these in turn, the last one for ever."""
    return lambda body, number: given[min(number, len(given)) - 1]


def by_keywords(words, otherwise, logprob=None):
    """Return a reply function of a model that answers {"label": ...} by the words of the last message.

    words: label -> pattern. logprob: of each character of the answer; None gives no probabilities.
    """

    def reply(body, number):
        text = body["messages"][-1]["content"]
        label = next((name for name, pattern in words.items() if re.search(pattern, text)), otherwise)
        said = json.dumps({"label": label}, ensure_ascii=False)
        more = (
            {"logprobs": tokens_of(said, logprob=logprob)}
            if logprob is not None and body.get("logprobs")
            else {}
        )
        return completion(said, **more)

    return reply
