"""Answers that were given before, in front of models that are dear to ask: equal rows are asked once.

In memory, of one server, for one version of a model; a row is told by a keyed hash, so no text lies here. Exact by default. `near` also
answers a text whose content words are those of an earlier one, in order (`modalities.text.content_words`), never by similar vectors.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from rung.core import registry
from rung.core.manifest import Manifest
from rung.core.types import Prediction
from rung.modalities.text.content_words import content_words
from rung.runtime.service.response_cache import row_key

# Marks a prediction that was not asked for again.
CACHED = "cached"
_CASCADE = "cascade"

Ask = Callable[[list[dict[str, Any]]], list[Prediction]]


class Front(Protocol):
    """What stands in front of a model: a cache, or what draws a share of its answers at random."""

    def answer(self, rows: Sequence[dict[str, Any]], ask: Ask) -> list[Prediction]:
        """Return the answers of rows in order; ask: the model."""


class AnswerCache:
    """At most `capacity` answers, the latest used are kept. Safe to share between threads.

    near_fields: inputs of texts that may differ in words without content; () for an exact cache.
    """

    def __init__(self, capacity: int, near_fields: Sequence[str] = ()) -> None:
        self._capacity, self._near_fields = capacity, tuple(near_fields)
        # So that nobody who sees the memory can try out texts.
        self._secret = secrets.token_hex(16)
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, Prediction] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def answer(self, rows: Sequence[dict[str, Any]], ask: Ask) -> list[Prediction]:
        """Return the answers in order; `ask` gets each different row that is not known once.

        An answer from here costs nothing and is marked. Answers of a service that failed are not kept.
        """
        keys = [self._keys(row) for row in rows]
        found: list[Prediction | None] = [self._known(key) for key in keys]
        first: dict[str, int] = {}
        for place, one in enumerate(found):
            if one is None:
                first.setdefault(keys[place][-1], place)
        asked = list(first.values())
        for place, answer in zip(asked, ask([rows[place] for place in asked]) if asked else [], strict=True):
            found[place] = answer
            if "problem" not in answer.extra:
                self._keep(keys[place], answer)
        # What is left are equal rows of the same request.
        return [one or self._copy(found, first[keys[place][-1]]) for place, one in enumerate(found)]

    @staticmethod
    def _copy(found: Sequence[Prediction | None], place: int) -> Prediction:
        """Return the answer to an equal row of the same request."""
        answer = found[place]
        if answer is None:
            raise RuntimeError("a row was neither known nor asked")
        return _marked(answer)

    def _keys(self, row: Mapping[str, Any]) -> list[str]:
        """Return the keys of a row, the strictest first."""
        keys = [self._key("exact", row)]
        if self._near_fields:
            loose = {
                name: content_words(str(value)) if name in self._near_fields else value
                for name, value in row.items()
            }
            keys.append(self._key("near", loose))
        return keys

    def _key(self, kind: str, row: Mapping[str, Any]) -> str:
        return hashlib.sha256(f"{self._secret}{kind}{row_key('', row)}".encode()).hexdigest()

    def _known(self, keys: Sequence[str]) -> Prediction | None:
        with self._lock:
            for key in keys:
                answer = self._answers.get(key)
                if answer is not None:
                    self._answers.move_to_end(key)
                    return _marked(answer)
        return None

    def _keep(self, keys: Sequence[str], answer: Prediction) -> None:
        with self._lock:
            for key in keys:
                self._answers[key] = answer
                self._answers.move_to_end(key)
            while len(self._answers) > self._capacity * len(keys):
                self._answers.popitem(last=False)


def cache_for(manifest: Manifest, capacity: int, near: bool) -> AnswerCache | None:
    """Return a cache for a bundle that asks a service or hands on to a dearer model; None for others.

    A model that answers in microseconds is cheaper to ask than to look up.
    """
    names = {manifest.model, *manifest.children} & set(registry.model_names())
    is_dear = any(name == _CASCADE or hasattr(registry.model(name), "address") for name in names)
    if not capacity or not is_dear:
        return None
    fields = [field.name for field in manifest.schema.inputs if field.kind == "text"] if near else []
    return AnswerCache(capacity, fields)


def _marked(answer: Prediction) -> Prediction:
    return replace(answer, cost=0.0, extra={**answer.extra, CACHED: True})
