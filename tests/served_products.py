"""A product served by a real process, and people who answer its review page over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import rung
from rung.journal.encryption import new_master_key
from rung.journal.records import FeedbackRecord, PredictionRecord, new_id
from rung.journal.writer import Journal
from rung.workflows.review import open_review
from waiting import LONG, wait_until


def ask(address, path, body=None, key=None):
    """Return the JSON that a server answers; raises AssertionError with what it says otherwise."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(
            urllib.request.Request(address + path, data, headers), timeout=LONG
        ) as reply:  # noqa: S310 - a loopback address of ours
            return json.loads(reply.read())
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{error.code}: {error.read().decode()}") from None


@contextmanager
def served(spec, master=None):
    """Yield the address of `rung serve` on a product, and the environment its journal is read in."""
    env = {**os.environ, "RUNG_MASTER_KEY": master or new_master_key(), "RUNG_LANG": "en"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (spec.parent / "server.log").open("ab")
    command = [sys.executable, "-m", "rung.cli", "serve", str(spec), "--port", str(port)]
    process = subprocess.Popen(command, stderr=log, stdout=subprocess.DEVNULL, env=env)
    address = f"http://127.0.0.1:{port}"
    try:

        def ready():
            try:
                return ask(address, "/readyz")
            except OSError:
                assert process.poll() is None, (spec.parent / "server.log").read_text()
                return None  # It is starting; there is no event to wait for.

        wait_until(ready, "the server is ready", pause=0.1)
        yield address, env
    finally:
        process.terminate()
        process.wait(LONG)
        log.close()


@contextmanager
def reviewing(spec, env):
    """Yield the address of the page that `rung review` shows."""
    command = [sys.executable, "-m", "rung.cli", "review", str(spec), "--lang", "en"]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**env, "PYTHONUNBUFFERED": "1"},
    )
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"http://\S+", line):
                break
        else:
            raise AssertionError("".join(lines))
        yield found[0].rstrip("/")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LONG)


def answer_page(page, who, truth, count):
    """Answer up to `count` rows as a person who knows the truth; return (rows, whether a guess stood beside them)."""
    asked = []
    found = ask(page, "/next", {"by": who})
    for n in range(count):
        row = found["row"]
        if row is None:
            break
        label = truth({cell["name"]: cell["value"] for cell in row["cells"]})
        asked.append((row["text"], row["guess"] is not None))
        body = {
            "by": who,
            "text": row["text"],
            "kind": "label",
            "label": label,
            "token": f"{who[:8]}-{n:08d}",
        }
        found = ask(page, "/answer", body)
    return asked, found["progress"]


def remember(folder, bundle, rows, inputs="plain"):
    """Write what a bundle answers to these rows into a service folder's journal, as a server would; return the ids."""
    predictor = rung.load(bundle)
    ids, as_read = [new_id() for _ in rows], []
    answers = list(predictor.respond(rows, read=as_read.append))
    records = [
        PredictionRecord(
            id, time.time(), "test", predictor.manifest.name, predictor.manifest.version, "", "shop", None,
            values, answer, 1.0, 0.0,
        )
        for id, values, answer in zip(ids, as_read, answers, strict=True)
    ]  # fmt: skip
    journal = Journal(folder, inputs)
    journal.write(*records)
    journal.close()
    return ids


def say_so(folder, said, inputs="plain"):
    """Write feedback: (prediction, answer, source, author)."""
    journal = Journal(folder, inputs)
    journal.write(
        *(FeedbackRecord(new_id(), time.time(), id, json.dumps(a), s, who) for id, a, s, who in said)
    )
    journal.close()


def review_all(spec, truth, who="ann", most=10_000, only_audit=False):
    """Answer as a person who knows the truth, until no row is left or enough are labelled; return the progress."""
    with open_review(spec) as (_, session):
        for _ in range(most):
            asked = session.next(who)
            if asked is None or (only_audit and session._audit_census().border > 0):
                break
            if only_audit and asked.reason != "audit":
                session.record_answer(who, asked.row.text, "skip")
            else:
                session.record_answer(who, asked.row.text, "label", truth(asked.row.cells))
        return session.progress(who)
