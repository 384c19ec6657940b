"""The contract of a kind."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rung.core.blobs import Blob, BlobStore
from rung.core.errors import InputError
from rung.core.kind import Kind, kind
from rung.core.types import Field

# What no kind of media may open, and what no kind may crash on.
_HOSTILE_MEDIA = (
    "/etc/passwd",
    "../../etc/passwd",
    "file:///etc/passwd",
    "http://localhost/x.png",
    "not base64!",
)
_HOSTILE: tuple[Any, ...] = (
    None,
    "",
    [],
    {},
    [[1]],
    {"a": {"b": 1}},
    True,
    1e308,
    -1,
    10**400,
    "\x00",
    "\ud800",
    b"\xff\xfe",
    "<script>",
)


def check_kind(name: str, values: Sequence[Any] = ()) -> None:
    """Raise AssertionError with all that the kind of this name does not keep of the contract.

    values: as a caller sends them (media as bytes); by default those of `Kind.tiny`.
    """
    known = kind(name)
    values = values or known.tiny()
    assert values, f"the kind '{name}': give values, or write tiny()"
    field = Field("x", name, "input")
    read = known.reader(field)
    parsed = [read(value, "row 0") for value in values]
    problems = [
        *_storage(known, parsed),
        *_sight(known, parsed),
        *_journal(known, parsed),
        *_hostile(known, field),
    ]
    if known.name != name:
        problems.append(f"its `name` is '{known.name}'")
    if not isinstance(known.json_schema(field), dict) or "type" not in known.widget(field):
        problems.append("json_schema or widget is no description")
    assert not problems, f"the kind '{name}':\n" + "\n".join(f"- {problem}" for problem in problems)


def _storage(known: Kind, values: Sequence[Any]) -> list[str]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        store = BlobStore(Path(folder), Path(folder))
        for value in values:
            if isinstance(value, Blob):
                store.add_bytes(value.read(), value.name)
            for label, again in (
                ("to_cell", known.from_cell(known.to_cell(value), store)),
                ("to_json", known.from_json(json.loads(json.dumps(known.to_json(value))), store)),
            ):
                if known.identity(again) != known.identity(value):
                    found.append(
                        f"{label} and back changes the identity of {known.preview_text(value, 60)!r}"
                    )
                if isinstance(value, Blob) and again.read() != value.read():
                    found.append(f"{label} and back changes the content of {value.shown()!r}")
    return found


def _sight(known: Kind, values: Sequence[Any]) -> list[str]:
    found = []
    for value in values:
        if len(known.preview_text(value, 20)) > 20 or "\n" in known.preview_text(value, 20):
            found.append("preview_text is longer than asked, or no single line")
        if "<script" in known.preview_html(value).lower():
            found.append("preview_html lets markup through")
    for what, (scale, measured) in known.measure(values).items():
        if scale not in {"number", "category", "length", "script"}:
            found.append(f"measure: '{what}' has the scale '{scale}'")
        if len(measured) != len(values):
            found.append(f"measure: '{what}' has {len(measured)} values for {len(values)} rows")
    return found


def _journal(known: Kind, values: Sequence[Any]) -> list[str]:
    found = []
    for value in values:
        for keep in (False, True):
            raw = json.loads(json.dumps(known.to_journal(value, keep), default=str))
            again = known.from_journal(raw)
            if known.identity(again) != known.identity(value):
                found.append(f"to_journal(keep={keep}) and back changes the identity")
            if known.is_media and not keep and "base64" in json.dumps(raw):
                found.append("to_journal(keep=False) holds content")
    before, after = (
        known.measure(values),
        known.measure([known.from_journal(known.to_journal(v, False)) for v in values]),
    )
    if set(before) != set(after):
        found.append("what is measured of a value cannot be measured of what the journal keeps")
    return found


def _hostile(known: Kind, field: Field) -> list[str]:
    found = []
    read = known.reader(field)
    for value in (*_HOSTILE, *(_HOSTILE_MEDIA if known.is_media else ())):
        try:
            got = read(value, "row 0")
        except InputError:
            continue
        except Exception as error:
            found.append(
                f"reading {str(value)[:40]!r} raises {type(error).__name__}; an InputError says what does not fit"
            )
            continue
        if isinstance(got, Blob) and value in _HOSTILE_MEDIA:
            found.append(f"reading {value!r} gives media: a path or an address must never be opened")
    return found
