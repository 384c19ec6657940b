"""HTTP server of the labelling page, for the local machine only.

The address contains a random token, so no other page or user of the machine can find it. The Host header must
be ours, which prevents DNS rebinding. A request that changes something must be JSON from our own origin, and
bodies have a size limit. The page loads nothing from other servers and shows data as text, never as HTML.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from importlib import resources
from types import FrameType
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rung.annotation.author import normalize_author
from rung.annotation.serializers import disagreements_to_dicts, progress_to_dict, query_to_dict
from rung.annotation.session import MAX_ANSWER, LabellingSession, LabelQuery
from rung.core.errors import InputError, RungError
from rung.core.messages import LANGUAGES, catalogue
from rung.core.spec.labelling import KEYS
from rung.data.labels.store import LABEL

if TYPE_CHECKING:
    import uvicorn

MAX_BODY_BYTES = 1 << 16
# Pictures that stand side by side.
GRID = 12
# Seconds that requests in progress get when the page ends.
_GRACE_S = 3
# Messages that the page's script shows.
PAGE_MESSAGES = (
    "label.accept", "label.agreement", "label.alone", "label.audit", "label.audit_whole", "label.audit_why",
    "label.back", "label.begin", "label.by", "label.cannot", "label.changed",
    "label.curve", "label.curve_at", "label.curve_wait", "label.disagreements", "label.done", "label.done_later",
    "label.enough", "label.go_on", "label.guess", "label.guidelines", "label.hardly",
    "label.key", "label.key_cannot", "label.lead",
    "label.key_settle", "label.key_skip", "label.key_undo", "label.labelled", "label.language",
    "label.none", "label.no_answer", "label.not_number", "label.typed_answer", "label.nothing", "label.number", "label.of_rows", "label.offline",
    "label.outlook", "label.progress", "label.box_how", "label.box_remove", "label.box_save", "label.boxes", "label.key_zoom",
    "label.key_grid", "label.key_single", "label.grid_how", "label.grid_save", "label.grid_saved",
    "label.saved", "label.settle_how", "label.skipped", "label.to_settle", "label.undone",
)  # fmt: skip


# Returns the name of an author from what they typed: their name, or an API key.
IdentifyAuthor = Callable[[str], str]
MAX_KEY_CHARS = 200


class _AuthorRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    by: str = Field(min_length=1, max_length=MAX_KEY_CHARS)


class _GridAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    text: str = Field(max_length=32)
    label: str = Field(max_length=MAX_ANSWER)
    token: str = Field(min_length=8, max_length=64)


class _AnswerRequest(_AuthorRequest):
    text: str = Field(max_length=32)
    kind: str = Field(max_length=16)
    label: str | None = Field(default=None, max_length=MAX_ANSWER)
    token: str = Field(min_length=8, max_length=64)


class _GridRequest(_AuthorRequest):
    """What a person decided about pictures that stood side by side; the next ones are the reply."""

    answers: list[_GridAnswer] = Field(max_length=GRID)


class _UndoRequest(_AuthorRequest):
    token: str = Field(min_length=8, max_length=64)


def create_labelling_app(
    session: LabellingSession,
    token: str,
    hosts: Sequence[str],
    lang: str = "en",
    author: str = "",
    title: str = "",
    identify: IdentifyAuthor | None = None,
) -> FastAPI:
    """Return the app of the page, below /<token>/. hosts: allowed Host headers, such as "127.0.0.1:8765".

    identify: returns the name of an API key and raises InputError for a key that may not review. None: people
    type their names, which are not verified.
    """
    app = FastAPI(title="rung label", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(_RequestFilter, token=token, hosts=frozenset(hosts))
    app.add_exception_handler(RungError, _on_rung_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    page, headers = render_labelling_page(session, lang, author, title, identify is not None)
    name = identify or normalize_author

    @app.get(f"/{token}/", response_class=HTMLResponse)
    def show() -> HTMLResponse:
        return HTMLResponse(page, headers=headers)

    @app.post(f"/{token}/next")
    def ask(body: _AuthorRequest) -> dict[str, Any]:
        by = name(body.by)
        return _session_state(session, by, session.next(by))

    @app.post(f"/{token}/answer")
    def answer(body: _AnswerRequest) -> dict[str, Any]:
        by = name(body.by)
        session.record_answer(by, body.text, body.kind, body.label, body.token)
        if body.kind == "settle":
            return {"disagreements": disagreements_to_dicts(session)}
        return _session_state(session, by, session.next(by))

    @app.post(f"/{token}/grid")
    def grid(body: _GridRequest) -> dict[str, Any]:
        by = name(body.by)
        # A repeated token writes nothing: a page whose reply was lost sends the same again.
        for one in body.answers:
            session.record_answer(by, one.text, LABEL, one.label, one.token)
        rows = [query_to_dict(query) for query in session.next_batch(by, GRID, reserve=True)]
        return {"rows": rows, "progress": progress_to_dict(session, by)}

    @app.post(f"/{token}/undo")
    def undo(body: _UndoRequest) -> dict[str, Any]:
        by = name(body.by)
        back = session.undo(by, body.token)
        return _session_state(session, by, back or session.next(by)) | {"undone": back is not None}

    @app.post(f"/{token}/disagreements")
    def disagreements(body: _AuthorRequest) -> dict[str, Any]:
        name(body.by)
        return {"disagreements": disagreements_to_dicts(session)}

    return app


def _session_state(session: LabellingSession, by: str, query: LabelQuery | None) -> dict[str, Any]:
    return {"row": query_to_dict(query) if query else None, "progress": progress_to_dict(session, by)}


def serve_labelling_page(
    create_app: Callable[[str, Sequence[str]], FastAPI], port: int, on_ready: Callable[[str], None]
) -> None:
    """Serve on 127.0.0.1 until interrupted, then return.

    create_app: returns an app from its token and hosts. port: 0 for a free one. on_ready: called with the
    address.
    """
    import uvicorn

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
            # A browser that opens the address at once waits for the server instead of being refused.
            listening.listen(128)
        except OSError as error:
            raise RungError(
                f"cannot listen on this address: {error.strerror}",
                f"127.0.0.1:{port}",
                "Choose another --port.",
            ) from None
        port = listening.getsockname()[1]
        token = secrets.token_urlsafe(18)
        app = create_app(token, [f"127.0.0.1:{port}", f"localhost:{port}"])
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        server = uvicorn.Server(config)
        with _ended_by_interrupt(server):
            on_ready(f"http://127.0.0.1:{port}/{token}/")
            server.run(sockets=[listening])


@contextmanager
def _ended_by_interrupt(server: uvicorn.Server) -> Iterator[None]:
    """End the server at SIGINT, also before it runs. Nothing is lost: each answer was stored at once.

    A flag, not KeyboardInterrupt: an exception that is raised while Python runs a callback of a weak reference is
    printed and forgotten, and the page would go on.
    """
    if threading.current_thread() is not threading.main_thread():  # Only that one may handle signals.
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def render_labelling_page(
    session: LabellingSession, lang: str, author: str, title: str, asks_for_key: bool = False
) -> tuple[str, dict[str, str]]:
    """Return the page, in one file and in both languages, and its HTTP headers.

    asks_for_key: the page asks for an API key, which it does not store, instead of a name.
    """
    folder = resources.files("rung.annotation")
    page = (folder / "page.html").read_text(encoding="utf-8")
    script, style = ((folder / f"page.{end}").read_text(encoding="utf-8") for end in ("js", "css"))
    words = {code: _page_messages(catalogue(code)) for code in LANGUAGES}
    facts = {
        "lang": lang, "by": author, "title": title, "words": words, "guidelines": session.spec.guidelines, "keyed": asks_for_key,
        "answer_kind": session.pool.answer_kind, "max_answer": MAX_ANSWER,
        "learns": session.learns and session.pool.answer_kind == "label",
        "labels": [
            {"key": KEYS[number], "name": name, "about": about} for number, (name, about) in enumerate(session.pool.labels.items())
        ],
    }  # fmt: skip
    # Only "<" could end the script element.
    data = json.dumps(facts, ensure_ascii=False).replace("<", "\\u003c")
    parts = {
        "lang": "zh-CN" if lang == "zh" else "en",
        "title": escape(title),
        "style": style,
        "script": script,
        "data": data,
    }
    # In one pass, so that the content of a part is never taken for a placeholder.
    page = re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], page)
    policy = (
        f"default-src 'none'; script-src {_csp_hash(script)}; style-src {_csp_hash(style)}; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return page, headers


def _page_messages(messages: Mapping[str, Any]) -> dict[str, Any]:
    return {key.removeprefix("label."): messages[key] for key in PAGE_MESSAGES}


def _csp_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


class _RequestFilter:
    """Accepts only requests of our own page: see the docstring of this module."""

    def __init__(self, app: ASGIApp, token: str, hosts: frozenset[str]) -> None:
        self._app, self._token, self._hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        request = Request(scope)
        refused = self._refusal(request)
        body = b""
        while refused is None and request.method == "POST":
            message = await receive()
            body += message.get("body", b"")
            if len(body) > MAX_BODY_BYTES:
                refused = (413, f"the request is larger than {MAX_BODY_BYTES >> 10} kB")
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                break
        if refused is not None:
            error = InputError(refused[1], "request", "Use the address that the command printed.").as_dict()
            await JSONResponse(error, status_code=refused[0])(scope, receive, send)
            return

        async def again() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again if request.method == "POST" else receive, send)

    def _refusal(self, request: Request) -> tuple[int, str] | None:
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if host not in self._hosts:
            return 403, "this host name is not served here"
        first = request.url.path.lstrip("/").split("/")[0]
        if not secrets.compare_digest(first.encode(), self._token.encode()):
            return 404, "there is no such page"
        if request.method not in {"GET", "HEAD", "POST"}:
            return 405, "this method is not allowed"
        if request.method == "POST":
            if origin is not None and origin not in {f"http://{name}" for name in self._hosts}:
                return 403, "the request comes from another page"
            if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
                return 415, "the request is not JSON"
        return None


async def _on_rung_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RungError)  # noqa: S101 - the handler is registered for this type alone
    return JSONResponse(error.as_dict(), status_code=422)


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    problem = InputError("the request cannot be answered", "request", "Use the page.")
    return JSONResponse(problem.as_dict(), status_code=status)


async def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    where = "; ".join(dict.fromkeys(".".join(map(str, item["loc"])) for item in error.errors()[:5]))
    return JSONResponse(
        InputError("the request is not understood", where, "Use the page.").as_dict(), status_code=422
    )
