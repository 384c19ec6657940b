"""kill -9 under load: every prediction and all feedback that was acknowledged is in the journal. Both sides are counted."""

import json
import signal
import sqlite3
import time

import pytest

from rung.serving.http.api_keys import KeyStore
from server_process import Client, free_port, start
from waiting import LONG, wait_until

CLIENTS = 4


def acknowledged_so_far(clients):
    return sum(len(client.feedback) for client in clients)


def killed_once(bundle, folder, key, after, seconds):
    """Kill a server `seconds` after it has acknowledged so many predictions and feedback to them; return its clients."""
    port = free_port()
    server = start(bundle, folder, port)
    clients = [Client(port, key) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    wait_until(lambda: acknowledged_so_far(clients) >= after, "load")
    time.sleep(seconds)  # Somewhere else within a commit each time.
    server.send_signal(signal.SIGKILL)
    server.wait()
    for client in clients:
        client.join(LONG)
    assert not [wrong for client in clients for wrong in client.wrong]
    return clients


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_what_was_acknowledged_survives_kill_9(built, tmp_path, times):
    _, key = KeyStore(tmp_path).create("shop", "predict")
    acknowledged, corrected, sent = set(), set(), 0
    for n in range(times):
        for client in killed_once(built.bundle, tmp_path, key, 20 + 7 * n, 0.013 * (n % 7)):
            acknowledged.update(client.predictions)
            corrected.update(client.feedback)
            sent += client.sent
    database = sqlite3.connect(tmp_path / "journal.db")
    there = {row[0] for row in database.execute("select id from predictions")}
    said = {row[0] for row in database.execute("select id from feedback")}
    assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    database.close()
    assert min(len(acknowledged), len(corrected)) >= 20 * times, "there was load"
    assert acknowledged <= there and corrected <= said
    assert len(there) <= sent, "and nothing was written twice"


def test_sigterm_finishes_what_was_begun(built, tmp_path):
    _, key = KeyStore(tmp_path).create("shop", "predict")
    port = free_port()
    server = start(built.bundle, tmp_path, port)
    clients = [Client(port, key) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    wait_until(lambda: acknowledged_so_far(clients) >= 20, "load")
    server.terminate()
    assert server.wait(LONG) is not None
    for client in clients:
        client.join(LONG)
    assert not [wrong for client in clients for wrong in client.wrong]
    database = sqlite3.connect(tmp_path / "journal.db")
    there = database.execute("select count(*) from predictions").fetchone()[0]
    database.close()
    assert there == sum(len(client.predictions) for client in clients), "what was written was answered"
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert all({"at", "level", "event"} <= set(line) for line in log)
    assert any(line["event"] == "request" and line.get("caller") == "shop" for line in log)
    text = (tmp_path / "log.jsonl").read_text()
    assert key not in text and key.split("_", 2)[2] not in text and "a goal" not in text
