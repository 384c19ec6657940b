"""Separates the parts of an answer that derive from the input from those that do not.

Labels, numbers, truth values and the name of the answering model say nothing that erasure must remove. Every other text
(reasons, free-text answers, extracted spans) repeats or paraphrases the input, so the journal stores it with the input.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rung.core.types import Schema

# Stored inputs that begin with it hold the input and the derived parts of the answer; the others are the input's JSON alone.
_WITH_DERIVED = b"\x01"
# Their values do not depend on the input, whatever the task.
_ALWAYS_PLAIN = frozenset({"answered_by"})
_PLAIN_KINDS = frozenset({"category", "number", "labels"})


class OutputSplitter:
    """Splits the answers of a model by its schema."""

    def __init__(self, schema: Schema) -> None:
        self._labels = {label for field in schema.outputs for label in field.values}
        self._derived = {field.name for field in schema.outputs if field.kind not in _PLAIN_KINDS}

    def split(self, output: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the plain parts and the derived parts. A derived part of the answer itself leaves None in the plain parts."""
        plain, derived = {}, {}
        for name, value in output.items():
            if name in _ALWAYS_PLAIN or (name not in self._derived and self._is_plain(value)):
                plain[name] = value
                continue
            derived[name] = value
            if name != "reasons":
                plain[name] = None
        return plain, derived

    def is_plain_answer(self, answer: Any) -> bool:
        """Return whether an answer given as feedback may be stored as it is."""
        return not self._derived and self._is_plain(answer)

    def _is_plain(self, value: Any) -> bool:
        if value is None or isinstance(value, bool | int | float):
            return True
        if isinstance(value, str):
            return value in self._labels
        if isinstance(value, list | tuple):
            return all(map(self._is_plain, value))
        return isinstance(value, Mapping) and all(
            k in self._labels and self._is_plain(v) for k, v in value.items()
        )


def with_derived(text: bytes, derived: bytes) -> bytes:
    """Return the stored form of an input and the derived parts of its answer. text, derived: JSON."""
    return _WITH_DERIVED + b'{"input":' + text + b',"derived":' + derived + b"}"


def load_input(stored: bytes) -> tuple[Any, dict[str, Any]]:
    """Return the input and the derived parts of the answer ({}: none), from their stored form."""
    if not stored.startswith(_WITH_DERIVED):
        return json.loads(stored), {}
    found = json.loads(stored[len(_WITH_DERIVED) :])
    return found["input"], found["derived"]
