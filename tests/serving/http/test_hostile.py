"""Hostile callers: whatever comes, no endpoint answers 500, none hangs, and every refusal says problem, where and fix."""

import socket
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rung.core.types import Field, Schema
from rung.serving.http.schemas import FeedbackRequest, parse_body, request_model
from server_process import free_port, start
from waiting import LONG

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30))
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)
NEAR = st.fixed_dictionaries(
    {},
    optional={
        "inputs": st.one_of(st.fixed_dictionaries({"text": ANY_JSON}), st.lists(st.fixed_dictionaries({"text": st.text()}), max_size=3), ANY_JSON),
        "scores": ANY_JSON, "explain": st.booleans(), "subject": ANY_JSON, "prediction": st.one_of(st.just("0" * 32), ANY_JSON),
        "answer": ANY_JSON, "source": st.one_of(st.just("user"), ANY_JSON),
    },
)  # fmt: skip
POSTS = (
    "/v1/models/desk/predict",
    "/v1/models/desk/explain",
    "/v1/models/desk/stream",
    "/v1/feedback",
    "/v1/subjects/export",
    "/v1/models/desk/reload",
)


def check(reply):
    assert reply.status_code < 500, reply.text
    if reply.status_code >= 400:
        assert set(reply.json()) == {"problem", "where", "fix"}


def fuzz(server, cases):
    import json

    @settings(max_examples=cases, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        path=st.sampled_from(POSTS), body=st.one_of(NEAR, ANY_JSON), raw=st.none() | st.binary(max_size=60)
    )
    def run(path, body, raw):
        content = raw if raw is not None else json.dumps(body).encode()
        check(server.client.post(path, content=content, headers=server.headers["admin"]))

    run()


@pytest.mark.parametrize("cases", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_body_is_answered_with_500(opened, cases):
    with opened(inputs="plain") as server:
        fuzz(server, cases)


@pytest.mark.parametrize(
    "path",
    ["/v1/models/../../etc/passwd", "/v1/models/%2e%2e%2f%2e%2e/predict", "/v1/predictions/%00", "/v1/models/desk%2fpredict",
     "/v1/predictions/' or 1=1 --", "//v1/models", "/v1/models/" + "a" * 5_000, "/v1/models/{name}", "/v1/models/%ff"],
)  # fmt: skip
def test_paths_lead_nowhere(opened, path):
    with opened() as server:
        reply = server.client.get(path, headers=server.headers["admin"])
        assert reply.status_code in (404, 405)
        assert server.client.get(path).status_code == 401


@pytest.mark.parametrize(
    "answer", ["NaN", "Infinity", "-1e999", "1" * 5_000, "[" * 300 + "]" * 300, '"\\ud800"']
)
def test_what_only_looks_like_json(opened, answer):
    with opened() as server:
        body = b'{"prediction": "' + b"0" * 32 + b'", "answer": ' + answer.encode() + b"}"
        reply = server.client.post("/v1/feedback", content=body, headers=server.headers["admin"])
        assert reply.status_code == 422, reply.text


def test_numbers_that_are_none():
    schema = Schema((Field("x", "number", "input"), Field("y", "json", "input")), ())
    model = request_model("m", schema, 10)
    from rung.core.errors import InputError

    assert parse_body(model, b'{"inputs": {"x": 1, "y": [1]}}').inputs
    for body in (b'{"inputs": {"x": NaN, "y": 1}}', b'{"inputs": {"x": 1, "y": [1e999]}}'):
        with pytest.raises(InputError):
            parse_body(model, body)
    with pytest.raises(InputError):
        parse_body(FeedbackRequest, b"\xff")


def test_an_answer_repeats_no_header_and_no_body(opened):
    with opened() as server:
        headers = {**server.headers["predict"], "X-Request-ID": "a%0d%0aSet-Cookie: x=1"}
        reply = server.client.post(POSTS[0], json={"inputs": {"text": 3}, "s3cret": 1}, headers=headers)
        assert reply.status_code == 422 and "set-cookie" not in reply.headers
        packed = server.client.post(
            POSTS[0],
            content=b"\x1f\x8b" + b"\0" * 50,
            headers={**server.headers["predict"], "Content-Encoding": "gzip"},
        )  # nothing is unpacked: a bomb stays small
        assert packed.status_code == 415 and packed.json()["where"] == "Content-Encoding"


def ask(port, lines=(), body=b'{"inputs": {"text": "a goal"}}', length=None):
    """Send one request by hand and return what comes back first; "" when the server hangs up."""
    head = ["POST /v1/models/desk/predict HTTP/1.1", "Host: localhost", *lines]
    head += [f"Content-Length: {len(body) if length is None else length}"]
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as ours:
        try:
            ours.sendall("\r\n".join([*head, "", ""]).encode() + body)
            return ours.recv(4_096).decode("latin-1")
        except (BrokenPipeError, ConnectionResetError):
            return ""


@pytest.fixture(scope="module")
def port(built, tmp_path_factory):
    """A server of its own, without keys."""
    port = free_port()
    server = start(built.bundle, tmp_path_factory.mktemp("service"), port)
    yield port
    assert server.poll() is None, "it lives to the end"
    server.terminate()
    server.wait(LONG)


def test_a_thousand_idle_connections_do_not_keep_others_out(port):
    idle = []
    try:
        for _ in range(1_000):
            idle.append(socket.create_connection(("127.0.0.1", port), timeout=LONG))
        for connection in idle[:500]:
            connection.sendall(b"POST /v1/models/desk/predict HTTP/1.1\r\nHost: localhost\r\nContent-Le")
        for connection in idle[500:600]:  # Slow ones: their bodies are on the way, a byte at a time.
            connection.sendall(b"POST /v1/feedback HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        for _ in range(10):
            assert "200 OK" in ask(port)
    finally:
        for connection in idle:
            connection.close()


@pytest.mark.parametrize(
    "lines, length, words",
    [(["X-A: " + "a" * 3_000_000], None, {"", "431"}), ([f"X-{n}: b" for n in range(150_000)], None, {"", "431"}),
     (["Transfer-Encoding: chunked"], 5, {"400"}), ([], -5, {"400"}), (["X-A\0: b"], None, {"400"}),
     (["X-Request-ID: a\x0bSet-Cookie: b"], None, {"400"}), (["X-Request-ID: a%0d%0aSet-Cookie: b"], None, {"200"}),
     (["Expect: 100-continue"], None, {"100", "200"}), (["Content-Encoding: gzip"], None, {"415"})],
    ids=["long", "many", "smuggled", "negative", "nul", "control", "injected", "expected", "packed"],
)  # fmt: skip
def test_hostile_heads(port, lines, length, words):
    said = ask(port, lines, length=length)
    assert said[9:12] in words, said[:200]
    assert "set-cookie" not in said.lower()
    assert "200 OK" in ask(port)


def test_heads_that_do_not_come_are_hung_up(built):
    import asyncio

    from rung.serving.http import protocol

    made = protocol.http_protocol()
    if made == "h11":
        pytest.skip("httptools is missing: pip install 'rung[ops]'")

    async def run():
        import uvicorn
        from uvicorn.server import ServerState

        config = uvicorn.Config(lambda *_: None, http=made, log_level="critical")
        config.load()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: made(config=config, server_state=ServerState(), app_state={}), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHo")
        try:
            return await asyncio.wait_for(reader.read(), LONG)
        finally:
            writer.close()
            server.close()

    before, protocol._HEADER_TIMEOUT_SECONDS = protocol._HEADER_TIMEOUT_SECONDS, 0.2
    try:
        found = []
        # A thread of its own: the browser tests leave a running event loop in this one.
        thread = threading.Thread(target=lambda: found.append(asyncio.run(run())))
        thread.start()
        thread.join(LONG)
        assert found == [b""]
    finally:
        protocol._HEADER_TIMEOUT_SECONDS = before
