"""Errors as responses hold them, in the language that the caller asks for."""

from __future__ import annotations

import json
from collections.abc import Iterable

from rung.core.errors import RungError
from rung.core.messages.sentences import in_language
from rung.serving.http.playground import preferred_language


def language_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the language that a request asks for."""
    accepted = next((value for name, value in headers if name == b"accept-language"), b"")
    return preferred_language(accepted.decode("latin-1"))


def error_facts(error: RungError, lang: str) -> dict[str, str]:
    """Return the three parts of an error, problem and fix in a language."""
    facts = error.as_dict()
    return facts | {key: in_language(facts[key], lang) for key in ("problem", "fix")}


def error_body(error: RungError, lang: str) -> bytes:
    """Return an error as JSON."""
    return _encoded(error_facts(error, lang))


def localized_answers(body: bytes, lang: str) -> bytes:
    """Return a response of predictions, the errors of single rows in a language."""
    if lang == "en" or b'"error"' not in body:
        return body
    found = json.loads(body)
    for row in found.get("predictions", ()):
        if isinstance(row, dict) and isinstance(row.get("error"), str):
            row["error"] = in_language(row["error"], lang)
    return _encoded(found)


def _encoded(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")
