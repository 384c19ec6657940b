"""Which endpoint opens to which role: one table, and what is not in it opens to nobody but an admin."""

from __future__ import annotations

import re
from dataclasses import dataclass

PUBLIC = frozenset({"public"})
ANY = frozenset({"predict", "review", "admin"})
REVIEW = frozenset({"review", "admin"})
ADMIN = frozenset({"admin"})


@dataclass(frozen=True)
class Endpoint:
    """One line of the table. path: as OpenAPI writes it; that is also its name in logs and metrics."""

    method: str
    path: str
    roles: frozenset[str]


# `/` is an empty form that holds no name of a model and asks for a key itself.
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
# What is asked most is looked up first.
_PATH_PATTERNS.sort(key=lambda item: not item[2].path.endswith("/predict"))


@dataclass(frozen=True)
class Caller:
    """Who asks. name: of the key; it stands in journal and logs, where the key never does."""

    name: str
    role: str
    per_minute: int | None = None


# Without keys everyone on this machine may do everything.
DEVELOPER = Caller("development", "admin")


def match_endpoint(method: str, path: str) -> Endpoint | None:
    """Return the table's line for a request; None when there is none."""
    method = "GET" if method == "HEAD" else method
    found = _STATIC_PATHS.get((method, path))
    if found is None:
        found = next((e for verb, form, e in _PATH_PATTERNS if verb == method and form.fullmatch(path)), None)
    return found


def presented_key(headers: list[tuple[bytes, bytes]]) -> str:
    """Return the key in `Authorization: Bearer` or `X-API-Key`; "" when there is none."""
    for name, value in headers:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return value[7:].strip().decode("latin-1")
        if name == b"x-api-key":
            return value.strip().decode("latin-1")
    return ""
