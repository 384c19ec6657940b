"""One answer as server-sent events: pieces, then the answer that is in the journal; who goes away leaves none."""

import http.client
import json
import threading
import time

import pytest
import uvicorn

from rung.core.errors import InputError
from rung.core.types import Prediction
from rung.serving.http.app import create_app
from rung.serving.service import Service
from server_process import free_port
from small_models import Answering, Streaming, small
from waiting import LONG, wait_until

URL = "/v1/models/small/stream"
ASK = {"inputs": {"prompt": "one two\nthree"}}


def reversed_words(row):
    for word in reversed(row["prompt"].split()):
        yield word + " "


def events(reply):
    assert reply.status_code == 200 and reply.headers["content-type"] == "text/event-stream", reply.text
    found = []
    for block in reply.text.split("\n\n")[:-1]:
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


@pytest.fixture
def streamed(opened, tmp_path):
    """Open a server of a model that streams the pieces of a generator function."""

    def open_(pieces, **limits):
        return opened(
            keys=False,
            predictors=[small(tmp_path, Streaming(pieces), prompt="text")],
            inputs="plain",
            **limits,
        )

    return open_


def test_pieces_then_the_answer_as_predict_gives_it(streamed):
    with streamed(reversed_words) as server:
        found = events(server.client.post(URL, json=ASK))
        assert [name for name, _ in found] == ["piece", "piece", "piece", "answer"]
        assert [data["text"] for _, data in found[:-1]] == ["three ", "two ", "one "]
        plain = server.client.post("/v1/models/small/predict", json=ASK).json()
        answer = found[-1][1]
        made = answer["predictions"][0].pop("id")
        plain["predictions"][0].pop("id")
        assert answer == plain
        kept = server.client.get(f"/v1/predictions/{made}").json()
        assert kept["output"]["answer"] == "three two one " and kept["input"] == {"prompt": "one two\nthree"}
        again = server.client.post("/v1/models/small/versions/v1/stream", files={"prompt": (None, "a b")})
        assert events(again)[-1][1]["predictions"][0]["answer"] == "b a "
        metrics = server.client.get("/metrics").text
        assert 'rung_streams_total{model="small",version="v1",outcome="answered"} 2' in metrics
        assert 'rung_requests_total{endpoint="/v1/models/{name}/stream",status="200"} 1' in metrics
        assert server.client.get("/openapi.json").json()["paths"][URL]["post"]["responses"]["200"]["content"]


def test_a_generator_may_return_the_whole_prediction(streamed):
    def priced(row):
        yield "a"
        yield "b"
        return Prediction("AB", answered_by="service", cost=0.25)

    with streamed(priced) as server:
        row = events(server.client.post(URL, json=ASK))[-1][1]["predictions"][0]
        assert row["answer"] == "AB" and row["answered_by"] == "service"
        assert server.client.get(f"/v1/predictions/{row['id']}").json()["price_usd"] >= 0.25


def test_a_model_that_does_not_stream_gives_one_answer(opened, tmp_path, desk):
    with opened(
        keys=False, predictors=[small(tmp_path, Answering(lambda row: row["prompt"]), prompt="text"), desk]
    ) as server:
        assert [name for name, _ in events(server.client.post(URL, json=ASK))] == ["answer"]
        found = events(
            server.client.post(
                "/v1/models/desk/stream",
                json={"inputs": {"text": "The striker scored"}, "scores": True, "explain": True},
            )
        )
        row = found[0][1]["predictions"][0]
        assert row["label"] == "sports" and "score:sports" in row and row["reasons"] and row["id"]


def test_errors_before_the_first_piece_are_ordinary_ones(streamed):
    def refuses(row):
        raise InputError("the service takes no such prompt", "prompt")
        yield ""

    with streamed(refuses) as server:
        refused = server.client.post(URL, json=ASK)
        assert refused.status_code == 422 and refused.json()["problem"] == "the service takes no such prompt"
        for inputs in ([], [{"prompt": "a"}, {"prompt": "b"}]):
            many = server.client.post(URL, json={"inputs": inputs})
            assert many.status_code == 422 and "Send one row" in many.json()["fix"]
        empty = server.client.post(URL, json={"inputs": {"prompt": " "}})
        assert empty.status_code == 422 and "nothing in prompt" in empty.json()["problem"]
        assert server.client.post(URL.replace("small", "smal"), json=ASK).status_code == 404
        assert server.client.post(URL, content=b"{").status_code == 422


def test_an_error_on_the_way_is_an_event_and_no_answer(streamed):
    def breaks(row):
        yield "a"
        raise KeyError("the secret prompt")

    with streamed(breaks) as server:
        reply = server.client.post(URL, json=ASK)
        found = events(reply)
        assert [name for name, _ in found] == ["piece", "error"]
        assert set(found[1][1]) == {"problem", "where", "fix"} and "secret" not in reply.text
        assert 'outcome="error"} 1' in server.client.get("/metrics").text
        assert (
            server.journal.read(lambda c: c.exec_driver_sql("select count(*) from predictions").scalar()) == 0
        )


def test_too_slow_a_stream_is_given_up(streamed):
    go = threading.Event()

    def waits(row):
        yield "a"
        go.wait(LONG)
        yield "b"

    with streamed(waits, seconds=0.3) as server:
        found = events(server.client.post(URL, json=ASK))
        go.set()
        assert [name for name, _ in found] == ["piece", "error"]
        assert "longer than 0.3 seconds" in found[1][1]["problem"]
        assert 'outcome="slow"} 1' in server.client.get("/metrics").text
        wait_until(lambda: "rung_requests_at_work 0" in server.client.get("/metrics").text, "the thread ends")


def test_a_stream_counts_as_a_request_in_flight(streamed):
    begun, go = threading.Event(), threading.Event()

    def waits(row):
        begun.set()
        go.wait(LONG)
        yield "a"

    with streamed(waits, max_in_flight=1) as server:
        replies = []
        first = threading.Thread(target=lambda: replies.append(server.client.post(URL, json=ASK)))
        first.start()
        begun.wait(LONG)
        for action in ("stream", "predict"):
            refused = server.client.post(f"/v1/models/small/{action}", json=ASK)
            assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
        go.set()
        first.join(LONG)
        assert [name for name, _ in events(replies[0])] == ["piece", "answer"]


@pytest.fixture
def live(tmp_path):
    """Serve models by a real server on a loopback port, whose clients can go away."""
    running = []

    def start(model, journal=None):
        service = Service(journal=journal)
        port = free_port()
        config = uvicorn.Config(create_app([model], service=service), port=port, log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        running.append((server, thread))
        wait_until(lambda: server.started, "the server is ready")
        return port, service

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(LONG)


def request(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
    connection.request("POST", URL, json.dumps(ASK), {"Content-Type": "application/json"})
    return connection, connection.getresponse()


def test_pieces_arrive_as_they_come(live, tmp_path):
    go = threading.Event()

    def waits(row):
        yield "first"
        go.wait(LONG)
        yield "second"

    port, _ = live(small(tmp_path, Streaming(waits), prompt="text"))
    connection, reply = request(port)
    assert reply.readline() == b"event: piece\n" and b"first" in reply.readline()
    go.set()
    assert b"second" in reply.read()
    connection.close()


def test_who_goes_away_is_counted_and_nothing_is_journaled(live, tmp_path):
    from rung.journal.writer import Journal

    journal = Journal(tmp_path / "service", "plain")
    go, ended = threading.Event(), threading.Event()

    def waits(row):
        try:
            yield "a"
            go.wait(LONG)
            for _ in range(1_000):
                yield "b"
                time.sleep(0.001)
        finally:
            ended.set()

    port, service = live(small(tmp_path, Streaming(waits), prompt="text"), journal)
    connection, reply = request(port)
    assert reply.readline() == b"event: piece\n"
    reply.close()
    connection.close()
    wait_until(lambda: service.metrics.streams.value("small", "v1", "gone") == 1, "it is noticed")
    go.set()
    assert ended.wait(LONG), "the model is stopped"
    assert journal.read(lambda c: c.exec_driver_sql("select count(*) from predictions").scalar()) == 0
    journal.close()


def test_who_goes_away_before_the_first_piece_is_counted(live, tmp_path):
    begun, go = threading.Event(), threading.Event()

    def waits(row):
        begun.set()
        go.wait(LONG)
        yield "a"

    port, service = live(small(tmp_path, Streaming(waits), prompt="text"))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
    connection.request("POST", URL, json.dumps(ASK))
    begun.wait(LONG)
    connection.close()
    wait_until(
        lambda: service.metrics.requests.value("/v1/models/{name}/stream", "499") == 1, "it is noticed"
    )
    go.set()
    assert service.metrics.streams.value("small", "v1", "gone") == 1


def test_a_client_that_does_not_read_holds_the_model_up(live, tmp_path):
    given = []

    def endless(row):
        for n in range(3_000):
            given.append(n)
            yield "x" * 10_000

    port, _ = live(small(tmp_path, Streaming(endless), prompt="text"))
    connection, reply = request(port)
    reply.readline()
    time.sleep(0.5)
    held = len(given)
    assert held < 3_000, "the queue is bounded"
    assert reply.read().count(b"event: piece\n") == 2_999 and len(given) == 3_000
    connection.close()
