"""Streams of a writer over HTTP: who goes away stops the writing, and a hundred at once are answered in a bounded number of sentences held."""

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import uvicorn

from rung.core.manifest import Manifest
from rung.core.spec.writing import WritingSpec
from rung.modalities.text.copied_text import CopiedText
from rung.modalities.text.decoding import LanguageModel
from rung.modalities.text.token_units import END, TokenUnits
from rung.modalities.text.writer import LanguageWriter, TextFinisher
from rung.serving.http.app import create_app
from rung.serving.predictor import Predictor
from rung.serving.service import Service
from rung.tasks.text_generation import TextGeneration
from server_process import free_port
from waiting import LONG, wait_until

URL = "/v1/models/novel/stream"


class Endless(LanguageModel):
    """Any letter after any other, a full stop now and then, and hardly ever an end. read: units so far."""

    def __init__(self, pause=0.0):
        self.units = TokenUnits.of_characters(["abcdefghijkl. "], 100)
        self.read, self._pause, self._lock = 0, pause, threading.Lock()
        self._chances = np.ones(len(self.units))
        self._chances[END] = 1e-12

    def begin(self, prompt):
        return 0

    def chances(self, state):
        return self._chances

    def after(self, state, unit):
        time.sleep(self._pause)
        with self._lock:
            self.read += 1
        return state

    def save(self, folder):
        raise NotImplementedError


class Novel(LanguageWriter):
    NAME = "novel"
    fit = load_language = cost = None


Novel.__abstractmethods__ = frozenset()


@pytest.fixture
def live(tmp_path):
    running = []

    def start(language, **limits):
        task = TextGeneration()
        schema = task.with_writing(
            task.schema(("prompt",), []), WritingSpec(max_chars=4_000, steps=("length",))
        )
        model = Novel(
            language, TextFinisher(schema, CopiedText.learn(["nothing of that kind"]), "novel", 1.0), {}
        )
        manifest = Manifest(
            "novel",
            "v1",
            "0",
            "text_generation",
            "novel",
            "novel",
            "/v1/models/novel/predict",
            schema,
            {},
            certified=True,
        )
        service, port = Service(), free_port()
        app = create_app([Predictor(manifest, task, model, tmp_path)], service=service)
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        running.append((server, thread))
        wait_until(lambda: server.started, "the server is ready")
        return port, service

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(LONG)


def ask(port, seed=0, most=4_000):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
    body = {"inputs": [{"prompt": "once", "options": {"seed": seed, "max_chars": most}}]}
    connection.request("POST", URL, json.dumps(body), {"Content-Type": "application/json"})
    return connection, connection.getresponse()


def test_a_dropped_connection_stops_the_writing(live):
    language = Endless(pause=0.002)
    port, service = live(language)
    connection, reply = ask(port)
    assert reply.readline() == b"event: piece\n"
    reply.close()
    connection.close()
    wait_until(lambda: service.metrics.streams.value("novel", "v1", "gone") == 1, "it is noticed")
    # At most the sentence at hand is written to its end.
    read = language.read
    wait_until(
        lambda: not any(thread.name == "rung-stream" for thread in threading.enumerate()), "its thread ends"
    )
    stopped = language.read
    time.sleep(0.05)
    assert language.read == stopped and stopped - read <= 480 and stopped < 4_000


def test_many_at_once_are_each_answered_as_alone(live):
    port, service = live(Endless())

    def whole(seed):
        connection, reply = ask(port, seed, 60)
        text = reply.read().decode()
        connection.close()
        return text.rpartition("data: ")[2], reply.status

    (alone, _) = whole(7)
    with ThreadPoolExecutor(40) as pool:
        found = list(pool.map(whole, [7] * 20 + list(range(20))))
    said = [json.loads(text) for text, status in found if status == 200]
    assert len(said) == 40 and {status for _, status in found} == {200}
    first = json.loads(alone)["predictions"][0]["text"]
    assert all(answer["predictions"][0]["text"] == first for answer in said[:20])
    assert service.metrics.streams.value("novel", "v1", "answered") == 41
