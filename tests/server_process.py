"""A server in a process of its own, a client that predicts and corrects without pause, and a bundle as a later version."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading

from rung.core.manifest import seal
from waiting import LONG, wait_until

URL = "/v1/models/desk/predict"
ASK = {"inputs": {"text": "The striker scored twice"}}


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def start(bundle, folder, port, env=None, more=(), tls=None):
    """Start a server and wait until it is ready. more: flags. tls: what trusts its certificate."""
    with (folder / "log.jsonl").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "rung.cli", "serve", str(bundle), "--folder", str(folder), "--port", str(port), *more],
            stderr=log, stdout=subprocess.DEVNULL, env=env or os.environ,
        )  # fmt: skip

    def ready():
        assert process.poll() is None, (folder / "log.jsonl").read_text()
        connection = (
            http.client.HTTPSConnection("127.0.0.1", port, timeout=LONG, context=tls)
            if tls
            else http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
        )
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False  # It is starting; there is no event to wait for.
        finally:
            connection.close()

    try:
        wait_until(ready, "the server is ready", pause=0.1)
    except AssertionError:
        process.kill()
        process.wait()
        raise
    return process


class Client(threading.Thread):
    """Asks and corrects without a pause; remembers what was sent and what was acknowledged."""

    def __init__(self, port, key):
        super().__init__(daemon=True)
        self.port, self.headers = port, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.sent, self.predictions, self.feedback, self.wrong = 0, [], [], []

    def post(self, connection, path, body):
        connection.request("POST", path, json.dumps(body), self.headers)
        reply = connection.getresponse()
        answer = json.loads(reply.read())
        if reply.status >= 300:
            self.wrong.append((reply.status, answer))
        return answer

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        try:
            while True:
                self.sent += 1
                answer = self.post(connection, "/v1/models/desk/predict", {"inputs": {"text": "a goal"}})
                made = answer["predictions"][0]["id"]
                self.predictions.append(made)
                said = self.post(connection, "/v1/feedback", {"prediction": made, "answer": "tech"})
                self.feedback.append(said["id"])
        except (OSError, http.client.HTTPException, KeyError, ValueError):
            return  # It was killed.
        finally:
            connection.close()


def repacked(bundle, to, changed=""):
    """Copy a bundle as another version of itself, as a later build would leave it."""
    shutil.copytree(bundle, to, dirs_exist_ok=True)
    raw = json.loads((to / "manifest.json").read_text())
    raw["version"] = changed or raw["version"]
    (to / "manifest.json").write_text(json.dumps({**raw, "seal": seal(raw)}))
    return to
