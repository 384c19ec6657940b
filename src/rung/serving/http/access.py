"""Access control: one table says which roles may call which endpoint; other paths answer 404 after authentication."""

from __future__ import annotations

import re
from dataclasses import dataclass

PUBLIC = frozenset({"public"})
ANY = frozenset({"predict", "review", "admin"})
REVIEW = frozenset({"review", "admin"})
ADMIN = frozenset({"admin"})


@dataclass(frozen=True)
class Endpoint:
    """One row of the table. path: OpenAPI path template; logs and metrics use it as the endpoint's name."""

    method: str
    path: str
    roles: frozenset[str]


# `/` is a static form: it names no model and asks the user for a key.
ENDPOINTS = (
    Endpoint("GET", "/healthz", PUBLIC),
    Endpoint("GET", "/readyz", PUBLIC),
    Endpoint("GET", "/", PUBLIC),
    Endpoint("GET", "/docs", ANY),
    Endpoint("GET", "/openapi.json", ANY),
    Endpoint("GET", "/v1/models", ANY),
    Endpoint("GET", "/v1/models/{name}", ANY),
    Endpoint("POST", "/v1/models/{name}/predict", ANY),
    Endpoint("POST", "/v1/models/{name}/explain", ANY),
    Endpoint("POST", "/v1/models/{name}/versions/{version}/predict", ANY),
    Endpoint("POST", "/v1/models/{name}/versions/{version}/explain", ANY),
    Endpoint("POST", "/v1/feedback", ANY),
    Endpoint("GET", "/v1/predictions/{id}", REVIEW),
    Endpoint("GET", "/metrics", REVIEW),
    Endpoint("POST", "/v1/models/{name}/reload", ADMIN),
    Endpoint("POST", "/v1/subjects/export", ADMIN),
    Endpoint("POST", "/v1/subjects/erase", ADMIN),
)
_STATIC_PATHS = {(e.method, e.path): e for e in ENDPOINTS if "{" not in e.path}
_PATH_PATTERNS = [
    (e.method, re.compile(re.sub(r"\{\w+\}", "[^/]+", e.path)), e) for e in ENDPOINTS if "{" in e.path
]
# Predictions are the most frequent requests: match them first.
_PATH_PATTERNS.sort(key=lambda item: not item[2].path.endswith("/predict"))


@dataclass(frozen=True)
class Caller:
    """An authenticated caller. name: of the API key; journal and logs hold the name, never the key."""

    name: str
    role: str
    per_minute: int | None = None


# In development mode (no API keys) every local caller is an admin.
DEVELOPER = Caller("development", "admin")


def match_endpoint(method: str, path: str) -> Endpoint | None:
    """Return the endpoint of a request; None for an unknown path."""
    method = "GET" if method == "HEAD" else method
    found = _STATIC_PATHS.get((method, path))
    if found is None:
        found = next(
            (e for verb, pattern, e in _PATH_PATTERNS if verb == method and pattern.fullmatch(path)), None
        )
    return found


def presented_key(headers: list[tuple[bytes, bytes]]) -> str:
    """Return the API key in `Authorization: Bearer` or `X-API-Key`; "" when there is none."""
    for name, value in headers:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return value[7:].strip().decode("latin-1")
        if name == b"x-api-key":
            return value.strip().decode("latin-1")
    return ""
