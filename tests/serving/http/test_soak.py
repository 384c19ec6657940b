"""Ten minutes at 80 % of what the server can: no error, and memory that does not grow. RUNG_SOAK_SECONDS: another length."""

import http.client
import json
import os
import statistics
import sys
import threading
import time
from pathlib import Path

import pytest

from rung.journal.encryption import MASTER_KEY_VARIABLE, new_master_key
from rung.serving.http.api_keys import KeyStore
from server_process import ASK, URL, free_port, start
from waiting import LONG

SECONDS = float(os.environ.get("RUNG_SOAK_SECONDS", "600"))
CLIENTS = 4
CAPACITY_SECONDS = min(10.0, SECONDS / 6)


def ask(port, key, until, per_second=None):
    """Ask from several connections, evenly where told how often; return (answers, what was no 200)."""
    counts, wrong = [0] * CLIENTS, []
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    begun = time.monotonic()

    def client(place):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
        try:
            while (now := time.monotonic()) < until:
                if per_second:
                    due = begun + (counts[place] * CLIENTS + place) / per_second
                    if due > now:
                        time.sleep(due - now)
                    if due >= until:
                        break
                body = {**ASK, "subject": f"customer-{counts[place] % 1_000}"}
                connection.request("POST", URL, json.dumps(body), headers)
                reply = connection.getresponse()
                said = reply.read()
                if reply.status != 200:
                    wrong.append((reply.status, said))
                counts[place] += 1
        except (OSError, http.client.HTTPException) as error:
            wrong.append(repr(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=client, args=(place,)) for place in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts), wrong


def resident_mb(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1e3


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="memory is read from /proc")
def test_ten_minutes_at_four_fifths(built, tmp_path):
    _, key = KeyStore(tmp_path).create("shop", "predict")
    port = free_port()
    server = start(built.bundle, tmp_path, port, env={**os.environ, MASTER_KEY_VARIABLE: new_master_key()})
    try:
        most, wrong = ask(port, key, time.monotonic() + CAPACITY_SECONDS)
        assert not wrong, wrong[:3]
        begun, stop, memory = time.monotonic(), threading.Event(), []

        def watch():
            while not stop.wait(SECONDS / 600):
                memory.append((time.monotonic() - begun, resident_mb(server.pid)))

        watching = threading.Thread(target=watch)
        watching.start()
        asked, wrong = ask(port, key, begun + SECONDS, 0.8 * most / CAPACITY_SECONDS)
        stop.set()
        watching.join()
        assert not wrong, wrong[:3]
        minute = SECONDS / 10
        third = statistics.mean(mb for at, mb in memory if 2 * minute <= at < 3 * minute)
        last = statistics.mean(mb for at, mb in memory if at >= 9 * minute)
        sys.stdout.write(
            f"{asked} answers in {SECONDS:g} s, {most / CAPACITY_SECONDS:.0f}/s at most; {third:.0f} MB in the third tenth, {last:.0f} in the last\n"
        )  # fmt: skip
        assert asked > 0.5 * SECONDS * most / CAPACITY_SECONDS, "there was load"
        assert last < 1.05 * third
        assert server.poll() is None
    finally:
        server.terminate()
        server.wait(LONG)
