"""Access control: one table says which roles may call which endpoint; other paths answer 404 after authentication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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

    @property
    def action(self) -> str:
        """Return the last part of the path."""
        return self.path.rpartition("/")[2]


class EndpointMatch(NamedTuple):
    """The endpoint of a request and the values of the parameters in its path."""

    endpoint: Endpoint
    parameters: Mapping[str, str]


# `/` is a static form: it names no model and asks the user for a key.
ENDPOINTS = (
    Endpoint("GET", "/healthz", PUBLIC),
    Endpoint("GET", "/readyz", PUBLIC),
    Endpoint("GET", "/", PUBLIC),
    Endpoint("GET", "/docs", ANY),
    Endpoint("GET", "/openapi.json", ANY),
    Endpoint("GET", "/v1/models", ANY),
    Endpoint("GET", "/v1/models/{name}", ANY),
    Endpoint("GET", "/v1/models/{name}/choices", ANY),
    Endpoint("POST", "/v1/models/{name}/predict", ANY),
    Endpoint("POST", "/v1/models/{name}/explain", ANY),
    Endpoint("POST", "/v1/models/{name}/stream", ANY),
    Endpoint("POST", "/v1/models/{name}/versions/{version}/predict", ANY),
    Endpoint("POST", "/v1/models/{name}/versions/{version}/explain", ANY),
    Endpoint("POST", "/v1/models/{name}/versions/{version}/stream", ANY),
    Endpoint("POST", "/v1/feedback", ANY),
    Endpoint("GET", "/v1/predictions/{id}", REVIEW),
    Endpoint("GET", "/metrics", REVIEW),
    Endpoint("POST", "/v1/models/{name}/reload", ADMIN),
    Endpoint("POST", "/v1/subjects/export", ADMIN),
    Endpoint("POST", "/v1/subjects/erase", ADMIN),
)
# Handled by the middleware itself, without the framework's routing: they are the most frequent requests.
PREDICTION_ACTIONS = frozenset({"predict", "explain", "stream"})
# Names of models, versions and ids in a path are far shorter.
_MAX_PARAMETER_CHARS = 256


class Caller(NamedTuple):
    """An authenticated caller. name: of the API key; journal and logs hold the name, never the key."""

    name: str
    role: str
    per_minute: int | None = None


# In development mode (no API keys) every local caller is an admin.
DEVELOPER = Caller("development", "admin")


def match_endpoint(method: str, path: str) -> EndpointMatch | None:
    """Return the endpoint of a request; None for an unknown path. The only place where paths are parsed.

    path: percent-decoded. It matches a template part by part: `//`, a slash at the end, another case or a control
    character match none, so they can reach no route.
    """
    parts = path.split("/")
    method = "GET" if method == "HEAD" else method
    for template, endpoint in _TEMPLATES.get((method, len(parts)), ()):
        parameters = _match_parts(template, parts)
        if parameters is not None:
            return EndpointMatch(endpoint, parameters)
    return None


def allowed_methods(path: str) -> list[str]:
    """Return the methods that a path has; [] for an unknown path."""
    return [method for method in ("GET", "POST") if match_endpoint(method, path)]


def _match_parts(template: Sequence[str], parts: Sequence[str]) -> dict[str, str] | None:
    """Return the parameters where the parts fit the template, which has as many; None where they do not."""
    found: dict[str, str] = {}
    for expected, part in zip(template, parts, strict=True):
        if expected[:1] != "{":
            if part != expected:
                return None
        elif part.isprintable() and 0 < len(part) <= _MAX_PARAMETER_CHARS:
            found[expected[1:-1]] = part
        else:
            return None
    return found


def _templates() -> dict[tuple[str, int], list[tuple[list[str], Endpoint]]]:
    found: dict[tuple[str, int], list[tuple[list[str], Endpoint]]] = {}
    for endpoint in ENDPOINTS:
        parts = endpoint.path.split("/")
        found.setdefault((endpoint.method, len(parts)), []).append((parts, endpoint))
    return found


_TEMPLATES = _templates()


def presented_key(headers: list[tuple[bytes, bytes]]) -> str:
    """Return the API key in `Authorization: Bearer` or `X-API-Key`; "" when there is none."""
    for name, value in headers:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return value[7:].strip().decode("latin-1")
        if name == b"x-api-key":
            return value.strip().decode("latin-1")
    return ""
