"""The client of services over loopback, the ledger that stops, the cache that forgets nothing, and metered models."""

import json
import threading
import time
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from rung.core.blobs import Blob
from rung.core.types import Prediction
from rung.runtime.service.client import ServiceClient, ServiceError
from rung.runtime.service.ledger import BudgetSpentError, Ledger
from rung.runtime.service.metered import MeteredModel, Metering
from rung.runtime.service.response_cache import CachedAnswer, ResponseCache, model_key, row_key


class Loopback(BaseHTTPRequestHandler):
    """Answers as the test says; keeps what it was sent."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, json.loads(body), dict(self.headers)))
        replies = self.server.replies
        status, headers, data = replies.pop(0) if len(replies) > 1 else replies[0]
        if status == "hang up":
            self.connection.close()
            return
        if status == "wait":
            time.sleep(0.6)
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    """Ends when its threads have ended."""

    daemon_threads = False


@contextmanager
def service(*replies):
    server = Server(("127.0.0.1", 0), Loopback)
    server.replies, server.seen = list(replies), []
    server.host = f"127.0.0.1:{server.server_port}"
    server.address = f"http://{server.host}/v1/answer?x=1"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def client_of(server, **more):
    return ServiceClient([server.host], wait_s=0.01, **more)


OK = (200, {"X-Cost-USD": "0.25"}, b'{"answer": "\xe6\x98\xaf", "usage": {"cost": 0.5}}')


def test_a_json_body_is_posted_and_the_cost_is_read_from_header_or_field():
    with service(OK) as server:
        reply = client_of(server, cost_header="X-Cost-USD").post(server.address, {"q": "文"}, {"X-Key": "k"})
        assert reply.body["answer"] == "是" and reply.cost == 0.25 and reply.seconds > 0
        assert client_of(server, cost_field="usage.cost").post(server.address, {}).cost == 0.5
        assert client_of(server, cost_field="usage.nothing.here").post(server.address, {}).cost == 0.0
    path, body, headers = server.seen[0]
    assert path == "/v1/answer?x=1" and body == {"q": "文"} and headers["X-Key"] == "k"
    keys = {headers["Idempotency-Key"] for _, _, headers in server.seen}
    assert len(keys) == 3


def test_what_may_pass_is_tried_again_with_the_same_key():
    with service((503, {}, b"busy"), (429, {"Retry-After": "0"}, b""), ("hang up", {}, b""), OK) as server:
        assert client_of(server).post(server.address, {}).body["answer"] == "是"
    assert len({headers["Idempotency-Key"] for _, _, headers in server.seen}) == 1 and len(server.seen) == 4


def test_a_service_that_asks_to_wait_is_waited_for():
    with service((429, {"Retry-After": "0.4"}, b""), OK) as server:
        begun = time.monotonic()
        client_of(server).post(server.address, {})
        assert time.monotonic() - begun >= 0.4
    with service((503, {"Retry-After": formatdate(time.time() - 10, usegmt=True)}, b""), OK) as server:
        client_of(server).post(server.address, {})


@pytest.mark.parametrize(
    "reply,problem,calls",
    [
        ((503, {}, b"still busy"), "503 Service Unavailable: still busy", 3),
        ((400, {}, b"no such model"), "400 Bad Request: no such model", 1),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "302", 1),
        ((200, {}, b"<html>"), "no JSON", 1),
        (("hang up", {}, b""), "cannot be reached", 3),
        (("wait", {}, b""), "no answer in time", 3),
    ],
)
def test_what_does_not_pass_is_said_in_words(reply, problem, calls):
    with service(reply) as server:
        with pytest.raises(ServiceError) as caught:
            client_of(server, tries=3, timeout_s=0.2).post(server.address, {})
        assert problem in caught.value.problem and len(server.seen) == calls


@pytest.mark.parametrize(
    "address",
    ["http://other.example/v1", "http://127.0.0.1:1/", "file:///etc/passwd", "ftp://127.0.0.1/", "http://", "nothing",
     "http://user@evil.example#@127.0.0.1"],
)  # fmt: skip
def test_no_other_host_is_called(address):
    with pytest.raises(ServiceError, match="not allowed"):
        ServiceClient(["127.0.0.1"], tries=1).post(address, {})


def test_lines_of_a_reply_are_given_as_they_come():
    with service((503, {}, b""), (200, {}, b'data: {"a": 1}\n\ndata: two\r\nlast')) as server:
        lines = list(client_of(server).stream(server.address, {}))
    assert lines == ['data: {"a": 1}', "data: two", "last"]


def test_the_ledger_stops_before_the_call_and_counts_all_rungs(tmp_path):
    one, two = (Ledger(tmp_path / "spent.json", 1.0, name) for name in ("one", "two"))
    one.require(1.0)
    for _ in range(10):
        one.require(0.1)
        one.add(0.05, 1)
    two.add(0.4, 2)
    assert (one.own().calls, one.own().usd) == (10, pytest.approx(0.5)) and two.total().calls == 12
    two.require(0.1)
    with pytest.raises(BudgetSpentError, match=r"budget of 1 USD .* 12 calls took 0.9000"):
        two.require(0.11)
    one.add(0.1, 1)
    one.require(0.0)
    with pytest.raises(BudgetSpentError):
        one.require(1e-6)


def test_processes_that_count_at_once_lose_no_call(tmp_path):
    def work(name):
        ledger = Ledger(tmp_path / "spent.json", 9.0, name)
        for _ in range(20):
            ledger.add(0.01, 1)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Ledger(tmp_path / "spent.json", 9.0, "a").total().calls == 60


def test_a_row_is_told_by_its_content_whatever_process_holds_it(tmp_path):
    same = [
        {"n": 3, "t": "a", "m": Blob.of(b"x", "one.png"), "l": ["a", 1]},
        {"t": "a", "n": np.float64(3.0), "m": Blob.of(b"x", "two.png"), "l": ("a", 1.0)},
    ]
    assert len({row_key("m", row) for row in same}) == 1
    assert row_key("m", {"n": float("nan")}) == row_key("m", {"n": None})
    others = [{"n": 3}, {"n": 4}, {"n": "3"}, {"n": True}, {"n": ""}, {"n": None}, {"m": Blob.of(b"y")}]
    assert len({row_key("m", row) for row in others}) == len(others)
    assert row_key("m", {"n": 3}) != row_key("other", {"n": 3})
    for name in ("a", "b"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "f.json").write_text("1")
    assert model_key(tmp_path / "a") == model_key(tmp_path / "b")
    (tmp_path / "b" / "deep" / "f.json").write_text("2")
    assert model_key(tmp_path / "a") != model_key(tmp_path / "b")


def test_the_cache_keeps_every_bit_and_survives_a_torn_line(tmp_path):
    path = tmp_path / "deep" / "answers.jsonl"
    one, two = ResponseCache(path), ResponseCache(path)
    answer = Prediction("是", 0.1 + 0.2, False, "s", 0.001, {"probabilities": np.array([0.3, 0.7]), "n": 1})
    one.add([("k", CachedAnswer(answer, 0.5, 0.01))])
    with path.open("a") as file:
        file.write('{"key": "torn", "answ')
    found = two.get("k")
    assert found.answer.score == answer.score and found.answer.extra["probabilities"].tolist() == [0.3, 0.7]
    assert two.get("torn") is None and (two.dearest, two.singles) == (0.001, 1)
    with path.open("a") as file:
        file.write("\n")
    two.add([("later", CachedAnswer(Prediction("x"), 0.1, 0.0, 4))])
    assert one.get("later") is not None and one.singles == 1


class Charging:
    """Answers "yes"; each answer costs what its row says."""

    def __init__(self):
        self.asked = []

    def predict(self, inputs):
        self.asked.append(list(inputs["usd"]))
        return [Prediction("yes", cost=usd) for usd in inputs["usd"]]


def metering(tmp_path, limit, **more):
    return Metering(tmp_path / "answers.jsonl", tmp_path / "spent.json", limit, "rung", **more)


def test_a_metered_model_asks_each_row_once_first_alone_then_together(tmp_path):
    (tmp_path / "model").mkdir()
    inner = Charging()
    model = MeteredModel(inner, tmp_path / "model", metering(tmp_path, 100.0))
    rows = [0.001 * (i + 1) for i in range(100)]
    answers = model.predict({"usd": rows + rows[:5]})
    assert [a.cost for a in answers] == pytest.approx(rows + rows[:5])
    assert sorted(usd for asked in inner.asked for usd in asked) == pytest.approx(rows)
    assert [len(asked) for asked in inner.asked[:41]] == [1] * 40 + [16]
    again = Charging()
    assert (
        MeteredModel(again, tmp_path / "model", metering(tmp_path, 0.0)).predict({"usd": rows})
        and not again.asked
    )
    timings = metering(tmp_path, 0.0).timings()
    assert timings["measured_on_rows"] == 40 and timings["throughput_per_s"] > 0


def test_a_metered_model_never_spends_more_than_the_budget(tmp_path):
    (tmp_path / "model").mkdir()
    inner = Charging()
    model = MeteredModel(inner, tmp_path / "model", metering(tmp_path, 0.5, planned_usd=0.01))
    rows = [0.01 + i * 1e-9 for i in range(100)]
    with pytest.raises(BudgetSpentError):
        model.predict({"usd": rows})
    assert 0.45 < sum(usd for asked in inner.asked for usd in asked) <= 0.5
    first = MeteredModel(Charging(), tmp_path / "model", metering(tmp_path, 0.0, planned_usd=0.01))
    with pytest.raises(BudgetSpentError):
        first.predict({"usd": [9.9]})


def test_a_model_is_metered_by_its_address_or_by_its_first_charge(tmp_path):
    (tmp_path / "model").mkdir()

    class Remote(Charging):
        address = "http://127.0.0.1/"

    ours = metering(tmp_path, 1.0)
    remote, free, silent = Remote(), Charging(), Charging()
    assert ours.applies_to(remote, tmp_path / "model", {"usd": [0.0]}) and not remote.asked
    assert not ours.applies_to(free, tmp_path / "model", {"usd": [0.0]})
    assert not ours.applies_to(free, tmp_path / "model", {"usd": []})
    assert ours.applies_to(silent, tmp_path / "model", {"usd": [0.3]}) and ours.spending().calls == 1
    MeteredModel(silent, tmp_path / "model", ours).predict({"usd": [0.3]})
    assert silent.asked == [[0.3]], "the answer that told is kept"
    assert Metering.from_dict(json.loads(json.dumps(ours.as_dict()))) == ours
