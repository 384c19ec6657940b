"""Every endpoint times every role; keys made, exchanged and revoked while a server runs; what a browser may not do."""

import asyncio
import json
import threading
import time
from urllib.parse import unquote

import pytest
from fastapi.testclient import TestClient

from rung.core.errors import RungError
from rung.serving.http.access import ADMIN, ANY, ENDPOINTS, PREDICTION_ACTIONS, PUBLIC, REVIEW, match_endpoint
from rung.serving.http.api_keys import KeyStore, RateLimit
from rung.serving.http.app import TableRoute, create_app
from rung.serving.service import Service
from support import run_cli, start_cli

ASK = {"inputs": {"text": "The striker scored twice"}}
# What each endpoint is asked with, and what it says to those who may.
ASKED = {
    "/v1/models/{name}/predict": (ASK, 200),
    "/v1/models/{name}/explain": (ASK, 200),
    "/v1/models/{name}/stream": (ASK, 200),
    "/v1/models/{name}/versions/{version}/predict": (ASK, 200),
    "/v1/models/{name}/versions/{version}/explain": (ASK, 200),
    "/v1/models/{name}/versions/{version}/stream": (ASK, 200),
    "/v1/feedback": ({"prediction": "0" * 32, "answer": "tech"}, 404),
    "/v1/predictions/{id}": (None, 404),
    "/v1/models/{name}/reload": ({}, 200),
    "/v1/subjects/export": ({"subject": "ann"}, 200),
    "/v1/subjects/erase": ({"subject": "ann"}, 200),
}
# Those that the middleware handles itself.
PREDICTIONS = {(e.method, e.path) for e in ENDPOINTS if e.action in PREDICTION_ACTIONS}
MAY = {PUBLIC: {"nobody", "predict", "review", "admin"}, ANY: {"predict", "review", "admin"}, REVIEW: {"review", "admin"}, ADMIN: {"admin"}}  # fmt: skip


def test_every_endpoint_times_every_role(opened, desk):
    with opened() as server:
        for endpoint in ENDPOINTS:
            path = endpoint.path.format(name="desk", version=desk.manifest.version, id="0" * 32) if "{" in endpoint.path else endpoint.path  # fmt: skip
            body, good = ASKED.get(endpoint.path, (None, 200))
            for role in ("nobody", "predict", "review", "admin"):
                reply = server.client.request(
                    endpoint.method, path, json=body, headers=server.headers.get(role)
                )
                wanted = good if role in MAY[endpoint.roles] else 401 if role == "nobody" else 403
                assert reply.status_code == wanted, (endpoint, role, reply.text)
                if wanted in (401, 403):
                    assert set(reply.json()) == {"problem", "where", "fix"}


def test_every_route_stands_in_the_table(opened):
    with opened() as server:
        routes = {(m, r.path) for r in server.client.app.routes for m in r.methods if m != "HEAD"}
        assert routes | PREDICTIONS == {(e.method, e.path) for e in ENDPOINTS}
        assert all(route.entry in ENDPOINTS and route.entry.roles for route in server.client.app.routes)
        for method, path in (("GET", "/nothing"), ("DELETE", "/v1/models"), ("OPTIONS", "/v1/models")):
            assert server.client.request(method, path).status_code == 401
        other = server.client.get("/nothing", headers=server.headers["admin"])
        assert other.status_code == 404
        wrong = server.client.get("/v1/models/desk/predict", headers=server.headers["admin"])
        assert wrong.status_code == 405 and "POST" in wrong.json()["problem"]
        assert wrong.headers["allow"] == "POST" and "allow" not in other.headers
        for method in ("DELETE", "PUT", "OPTIONS", "TRACE"):
            wrong = server.client.request(method, "/v1/models", headers=server.headers["admin"])
            assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD")
        assert server.client.head("/v1/models", headers=server.headers["admin"]).status_code == 200


def test_nothing_but_http_is_answered(opened):
    with opened() as server:
        sent = []

        async def send(message):
            sent.append(message)

        async def connect():
            await server.client.app(
                {"type": "websocket", "path": "/v1/subjects/export", "headers": []}, lambda: None, send
            )

        thread = threading.Thread(target=asyncio.run, args=(connect(),))
        thread.start()
        thread.join()
        assert [message["type"] for message in sent] == ["websocket.close"]


def test_a_plain_route_is_not_reached(opened, monkeypatch):
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def secrets(request):
        return PlainTextResponse("secret")

    with opened() as server:
        server.client.app.router.routes.insert(0, Route("/v1/secrets", secrets))
        reply = server.client.get("/v1/secrets", headers=server.headers["admin"])
        assert reply.status_code == 404, "what is not in the table of roles does not exist"


def test_a_route_without_a_role_cannot_be_made():
    with pytest.raises(KeyError):
        TableRoute("GET", "/v1/secrets", lambda request: None)


def mangled(path):
    """Yield spellings of a path that a second parser might take for it."""
    head, _, last = path.rpartition("/")
    for end in ("%0A", "%0a", "%0D%0A", "%00", "%09", "%E2%80%A8", "%C2%85", "%7F", "/", "//", "/.", "%2F"):
        yield path + end
    yield "/" + path
    yield path.replace("/", "//")
    yield head + "/%0A" + last
    yield head + "/./" + last
    yield head + "/x/../" + last
    yield head + "/%2e%2e/" + last
    yield head + "/;/" + last
    if "/v1/" in path:
        yield path.replace("/v1/", "/V1/")
        yield path.replace("/v1/", "/v1;a=b/")
        yield path.replace("/v1/", "/%EF%BD%961/")
        yield path.replace("/v1/", "/v1%20/")
        yield path.replace("/v1/", "\\v1\\")
    if last and not last.startswith(("desk", "0")):
        yield f"{head}/{last.upper()}"
        yield f"{head}/{last};x"
        yield f"{head}/{last}%20"
        yield f"{head}/{last[0]}%E2%80%8B{last[1:]}"


def statuses(app, requests):
    """Return the status of each (method, raw path, headers), sent to the application as uvicorn does."""

    async def ask(method, spelling, headers):
        sent = []

        async def receive():
            return {"type": "http.request", "body": b"{}"}

        async def send(message):
            sent.append(message)

        headers = [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()]
        raw = spelling.encode()
        await app(
            {"type": "http", "method": method, "path": unquote(spelling), "raw_path": raw, "query_string": b"",
             "headers": [(b"host", b"localhost"), *headers], "root_path": "", "scheme": "http", "server": None},
            receive, send,
        )  # fmt: skip
        return sent[0]["status"]

    async def run():
        return [await ask(*request) for request in requests]

    found = []
    # A thread of its own: the browser tests leave a running event loop in this one.
    thread = threading.Thread(target=lambda: found.extend(asyncio.run(run())))
    thread.start()
    thread.join()
    return found


def test_no_spelling_of_a_path_opens_a_route(opened, desk):
    with opened() as server:
        requests = [
            (method, spelling, server.headers.get(role))
            for endpoint in ENDPOINTS
            for spelling in mangled(
                endpoint.path.format(name="desk", version=desk.manifest.version, id="0" * 32)
                if "{" in endpoint.path
                else endpoint.path
            )
            for method in (endpoint.method, "HEAD" if endpoint.method == "GET" else "PUT")
            for role in ("nobody", "predict", "review", "admin")
        ]
        found = statuses(server.client.app, requests)
        wrong = [r for r, status in zip(requests, found, strict=True) if status != (404 if r[2] else 401)]
        assert len(found) == len(requests) > 1_000 and wrong == []


@pytest.mark.parametrize(
    "path",
    ["/v1/models/a\nb", "/v1/models/\x00", "/v1/models/\u2028", "/v1/models/" + "a" * 257, "/v1/models/", "/v1/models/\x7f",
     "/v1/models/desk/predict\n", "v1/models", "", "/v1/models/desk\u200b/reload"],
)  # fmt: skip
def test_names_in_paths_are_printable(path):
    assert match_endpoint("GET", path) is None and match_endpoint("POST", path) is None
    assert match_endpoint("GET", "/v1/models/客服 desk").parameters == {"name": "客服 desk"}
    assert match_endpoint("HEAD", "/healthz").endpoint.roles is PUBLIC
    assert match_endpoint("PUT", "/v1/models") is None


def test_cors_is_closed(opened):
    with opened() as server:
        reply = server.client.options(
            "/v1/models/desk/predict",
            headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
        )
        assert reply.status_code == 401
        asked = server.client.get(
            "/v1/models", headers={**server.headers["predict"], "Origin": "https://a.b"}
        )
        for answer in (reply, asked):
            assert not [name for name in answer.headers if name.startswith("access-control")]


def test_wrong_keys_and_the_other_header(opened):
    with opened() as server:
        good = server.headers["predict"]["Authorization"].removeprefix("Bearer ")
        parts = good.split("_", 2)
        for wrong in ("", "x", good[:-1], good + "a", f"rung_{'0' * 12}_{parts[2]}", good.upper(), "é" * 3):
            headers = {"Authorization": f"Bearer {wrong}".encode("latin-1")}
            assert server.client.get("/v1/models", headers=headers).status_code == 401
        assert server.client.get("/v1/models", headers={"X-API-Key": good}).status_code == 200


def test_keys_change_without_a_restart(opened):
    with opened() as server:
        store = KeyStore(server.folder)

        def status(shown):
            return server.client.get("/v1/models", headers={"Authorization": f"Bearer {shown}"}).status_code

        _, one = store.create("shop", "predict")
        assert status(one) == 200
        _, two = store.rotate("shop", overlap_seconds=60)
        assert status(one) == status(two) == 200
        _, three = store.rotate("shop")
        assert status(two) == 401 and status(three) == 200
        store.revoke("shop")
        assert status(three) == 401
        store.path.unlink()
        assert status(one) == 401, "keys that vanish do not open the door"


def test_the_first_key_closes_an_open_server(opened):
    with opened(keys=False) as server:
        assert server.client.get("/v1/models").status_code == 200
        KeyStore(server.folder).create("first", "admin")
        assert server.client.get("/v1/models").status_code == 401


def test_only_hashes_are_stored_and_for_the_owner_alone(tmp_path):
    store = KeyStore(tmp_path)
    key, shown = store.create("shop", "predict")
    text = store.path.read_text()
    assert shown.split("_", 2)[2] not in text and key.digest in text
    assert store.path.stat().st_mode & 0o077 == 0
    with pytest.raises(RungError, match="a key called 'shop' already"):
        store.create("shop", "admin")
    with pytest.raises(RungError, match="no valid key called 'shoq'") as error:
        store.revoke("shoq")
    assert "Did you mean 'shop'" in error.value.fix
    store.path.write_text("[{}]")
    with pytest.raises(RungError, match="cannot be read"):
        KeyStore(tmp_path).all()


def test_an_expired_key_opens_nothing(tmp_path):
    store = KeyStore(tmp_path)
    _, shown = store.create("short", "predict", expires_at=time.time() - 1)
    assert store.find(shown) is None


def test_the_command_line(tmp_path):
    made = run_cli("keys", "create", "shop", "--role", "review", "--per-minute", "60", "--json", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    shown = json.loads(made.stdout)["key"]
    assert KeyStore(tmp_path / "service").find(shown).role == "review"
    listed = run_cli("keys", "list", cwd=tmp_path).stdout
    assert "shop" in listed and "review" in listed and "60/min" in listed and shown not in listed
    assert run_cli("keys", "rotate", "shop", cwd=tmp_path).stdout.startswith("rung_")
    assert run_cli("keys", "revoke", "shop", cwd=tmp_path).returncode == 0
    gone = run_cli("keys", "revoke", "shop", cwd=tmp_path)
    assert gone.returncode == 2 and "no valid key" in gone.stderr
    lines = [json.loads(line) for line in (tmp_path / "service" / "audit.jsonl").read_text().splitlines()]
    assert [line["action"] for line in lines] == ["keys create", "keys rotate", "keys revoke"]
    assert shown not in (tmp_path / "service" / "audit.jsonl").read_text()


def test_limits_of_a_key(opened):
    now = [0.0]
    limit = RateLimit(lambda: now[0])
    assert [limit.acquire("a", 60) for _ in range(6)] == [0.0] * 6
    assert limit.acquire("a", 60) == pytest.approx(1.0) and limit.acquire("b", 60) == 0.0
    now[0] = 1.01
    assert limit.acquire("a", 60) == 0.0
    with opened(per_minute=1) as server:
        codes = [server.client.get("/v1/models", headers=server.headers["predict"]) for _ in range(2)]
        assert [reply.status_code for reply in codes] == [200, 429]
        assert 1 <= int(codes[1].headers["retry-after"]) <= 60


def test_without_keys_pages_of_elsewhere_are_refused(desk):
    client = TestClient(
        create_app([desk], service=Service(local_only=True)), base_url="http://127.0.0.1:8000"
    )
    ok = {"Origin": "http://127.0.0.1:8000"}
    assert client.get("/v1/models").status_code == 200
    assert client.post("/v1/models/desk/predict", json=ASK, headers=ok).status_code == 200
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example:8000"}):
        assert client.post("/v1/models/desk/predict", json=ASK, headers=headers).status_code == 403


def test_beyond_this_machine_only_with_keys(built, tmp_path):
    done = start_cli("serve", built.bundle, "--host", "0.0.0.0", cwd=tmp_path)
    assert done.returncode == 2 and "without API keys the server only accepts local requests" in done.stderr
    assert "rung keys create" in done.stderr
