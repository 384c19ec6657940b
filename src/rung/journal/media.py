"""Convert inputs to and from what the journal stores: media by reference, with content where stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rung.core.blobs import Blob
from rung.core.kind import Kind, kind
from rung.core.types import Field

# Largest content of one value; of larger content only the hash is stored.
MAX_KEPT_BYTES = 1 << 20


class JournalInput(NamedTuple):
    """An input as it is stored. identity: what its hash is computed from, None for all of it. not_kept:
    number of values that are too large to store.
    """

    values: Mapping[str, Any]
    identity: Mapping[str, Any] | None = None
    not_kept: int = 0


class InputCodec:
    """Converts the inputs of a model to what its journal stores, and back."""

    def __init__(self, fields: Sequence[Field]) -> None:
        known = {field.name: kind(field.kind) for field in fields}
        # Most kinds are stored as they are.
        self._kinds = {name: found for name, found in known.items() if _converts(found)}

    def encode(self, row: Mapping[str, Any], keep_media: bool) -> JournalInput:
        """Return a row as it is stored. keep_media: with the content of media."""
        if not self._kinds:
            return JournalInput(row)
        values, identity, not_kept = dict(row), dict(row), 0
        for name, known in self._kinds.items():
            value = row.get(name)
            keep = keep_media
            if isinstance(value, Blob):
                keep = keep_media and value.size <= MAX_KEPT_BYTES
                not_kept += keep_media and not keep
            values[name] = known.to_journal(value, keep)
            # Equal content is an equal input, whatever the file is called.
            identity[name] = value.sha256 if isinstance(value, Blob) else values[name]
        return JournalInput(values, identity, not_kept)

    def decode(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Return stored values as inputs. Media whose content is not stored can be measured, but not read."""
        return {n: self._kinds[n].from_journal(v) if n in self._kinds else v for n, v in raw.items()}


def is_readable(row: Mapping[str, Any]) -> bool:
    """Return whether the content of all media in a row is available."""
    return not any(isinstance(value, Blob) and value.source is None for value in row.values())


def _converts(known: Kind) -> bool:
    own = type(known)
    return (
        own.to_journal is not Kind.to_journal
        or own.to_json is not Kind.to_json
        or own.from_journal is not Kind.from_journal
    )
