"""What a connection may hold without a key: time, memory, places. Both HTTP parsers of uvicorn, over real sockets."""

import asyncio
import contextlib
import threading

import pytest

from rung.serving.http import protocol
from waiting import LONG

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
LARGE = b"a" * (1 << 20)


@pytest.fixture(params=["httptools", "h11"])
def limited(request, monkeypatch):
    """Return a function that runs a client's coroutine against a server whose limits are a fraction of a second."""
    for name in ("_HEADER_TIMEOUT_SECONDS", "_BODY_TIMEOUT_SECONDS", "_UNREAD_TIMEOUT_SECONDS"):
        monkeypatch.setattr(protocol, name, 0.4)
    monkeypatch.setattr(protocol, "_SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(protocol, "_SLOWEST_BYTES_PER_SECOND", 1 << 30)
    if request.param == "httptools":
        pytest.importorskip("httptools", reason="httptools is missing: pip install 'rung[ops]'")

    def run(client):
        found = []

        def target():
            made = protocol._limited_httptools() if request.param == "httptools" else protocol._limited_h11()
            found.append(asyncio.run(asyncio.wait_for(_serve(made, client), LONG)))

        # A thread of its own: the browser tests leave a running event loop in this one.
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
        return found[0]

    return run


class App:
    """Answers without reading the body. /large: a megabyte; /slow: after longer than any limit; /read: reads the body."""

    def __init__(self):
        self.asked = 0

    async def __call__(self, scope, receive, send):
        self.asked += 1
        if scope["path"] == "/slow":
            await asyncio.sleep(1.0)
        if scope["path"] == "/read":
            while (await receive()).get("more_body"):
                pass
        body = LARGE if scope["path"] == "/large" else b"ok"
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _serve(made, client):
    import uvicorn
    from uvicorn.server import ServerState

    app, state = App(), ServerState()
    config = uvicorn.Config(app, http=made, log_level="critical", timeout_keep_alive=60)
    config.load()
    server = await asyncio.get_running_loop().create_server(
        lambda: made(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    try:
        return await client(server.sockets[0].getsockname(), app, state)
    finally:
        for connection in list(state.connections):
            connection.transport.abort()
        server.close()


async def closed(reader, writer, drip=b""):
    """Return everything that is answered before the server hangs up; drip: sent again and again meanwhile."""

    async def send_more():
        with contextlib.suppress(OSError):
            while drip:
                writer.write(drip)
                await writer.drain()
                await asyncio.sleep(0.05)

    dripping = asyncio.ensure_future(send_more())
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        dripping.cancel()
        writer.close()


@pytest.mark.parametrize(
    "sent, drip",
    [(b"", b""), (HEAD, b""), (HEAD, b"X: a\r\n"), (HEAD + b"Content-Length: 999\r\n\r\n", b""),
     (HEAD + b"Content-Length: 999\r\n\r\n", b"a"), (HEAD + b"\r\n" + HEAD, b""), (HEAD + b"\r\n" + HEAD, b"X: a\r\n"),
     (HEAD + b"\r\n", b"\r\n"), (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"), (HEAD + b"\r\n", b"")],
    ids=["silent", "head", "slow head", "no body", "slow body", "second head", "slow second head", "blank lines", "endless chunks", "idle"],
)  # fmt: skip
def test_what_is_never_sent_is_not_waited_for(limited, sent, drip):
    async def client(address, app, state):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(sent)
        answer = await closed(reader, writer, drip)
        while state.connections:
            await asyncio.sleep(0.01)
        return answer

    answer = limited(client)
    assert answer.count(b"200 OK") == (b"\r\n\r\n" in sent), "what was whole is answered"


def test_answers_that_nobody_reads_are_given_up(limited):
    async def client(address, app, state):
        _, writer = await asyncio.open_connection(*address, limit=1 << 10)
        writer.transport.pause_reading()
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * 8)
        while not app.asked:
            await asyncio.sleep(0.01)
        while state.connections:
            await asyncio.sleep(0.01)
        writer.close()
        return app.asked

    assert limited(client) < 8


def test_requests_sent_ahead_are_few(limited):
    async def client(address, app, state):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + (HEAD + b"\r\n") * 9)
        answered = 0
        while answered < 10:
            answered += (await reader.read(65_536)).count(b"200 OK")
        writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + (HEAD + b"\r\n") * 5_000)
        with contextlib.suppress(ConnectionResetError):
            while not app.asked > 10:
                await asyncio.sleep(0.01)
            # As many as one read of the socket holds are not kept: h11 leaves them as bytes, httptools hangs up.
            queued = max((len(getattr(one, "pipeline", ())) for one in state.connections), default=0)
            writer.close()
            return queued
        return 0

    assert limited(client) <= protocol._MAX_PIPELINED


def test_an_answer_that_takes_long_is_waited_for(limited):
    async def client(address, app, state):
        reader, writer = await asyncio.open_connection(*address)
        for path in (b"/slow", b"/", b"/large"):
            writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            while b"\r\n\r\n" not in (head := await reader.read(65_536)):
                pass
            assert b"200 OK" in head
        writer.close()
        return True

    assert limited(client)


def test_the_longest_waiting_makes_place(limited, monkeypatch):
    monkeypatch.setattr(protocol, "_most_connections", lambda: 20)

    async def client(address, app, state):
        busy_reader, busy = await asyncio.open_connection(*address)
        busy.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        while not app.asked:
            await asyncio.sleep(0.01)
        idle = [await asyncio.open_connection(*address) for _ in range(60)]
        reader, writer = await asyncio.open_connection(*address)
        writer.write(HEAD + b"Connection: close\r\n\r\n")
        answer = await reader.read()
        most = len(state.connections)
        slow = await busy_reader.read(65_536)
        for one in [*(pair[1] for pair in idle), busy, writer]:
            one.close()
        return answer, slow, most

    answer, slow, most = limited(client)
    assert b"200 OK" in answer and b"200 OK" in slow and most <= 20


def test_connections_fit_below_the_limit_of_open_files(monkeypatch):
    import resource

    for files, most in ((1_048_576, 4_096), (1_024, 896), (256, 128), (64, 16), (-1, 4_096)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        assert protocol._most_connections() == most


@pytest.mark.parametrize("installed", [True, False])
def test_either_parser_is_limited(monkeypatch, installed):
    if not installed:
        monkeypatch.setitem(__import__("sys").modules, "uvicorn.protocols.http.httptools_impl", None)
    else:
        pytest.importorskip("httptools", reason="httptools is missing: pip install 'rung[ops]'")
    assert protocol.http_protocol().__name__ == ("LimitedHttpTools" if installed else "LimitedH11")
