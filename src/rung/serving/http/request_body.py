"""Reads the body of a prediction request, JSON or a form, into rows and options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel

from rung.core.blobs import Blob
from rung.core.errors import InputError, did_you_mean
from rung.core.kind import MediaKind, kind
from rung.core.types import Field, Schema
from rung.serving.http.multipart import Part, is_multipart, parse_multipart
from rung.serving.http.schemas import (
    MAX_EXPLAINED_CHARS,
    MAX_EXPLAINED_ROWS,
    MAX_SUBJECT_CHARS,
    parse_body,
)

_FLAGS = {"true": True, "1": True, "on": True, "yes": True, "false": False, "0": False, "off": False, "no": False, "": False}  # fmt: skip
_OPTIONS = ("scores", "explain", "subject")
# Prefix of an option if an input has the same name.
_OPTION_PREFIX = "options."


class RequestBody(NamedTuple):
    """The body of a request. content_type: header value; anything except multipart is read as JSON."""

    content: bytes
    content_type: str = ""


class RequestRows(NamedTuple):
    """The rows and options of a request. Media in the rows are blobs whose content has not been decoded yet."""

    rows: list[dict[str, Any]]
    scores: bool = False
    explain: bool = False
    subject: str | None = None


class RequestReader:
    """Reads the requests of one model. model: pydantic model of their JSON."""

    def __init__(self, model: type[BaseModel], schema: Schema, max_rows: int) -> None:
        self._model = model
        self._max_rows = max_rows
        self._fields = {field.name: field for field in schema.inputs}
        known = ((field, kind(field.kind)) for field in schema.inputs)
        self._media = [(field, found) for field, found in known if isinstance(found, MediaKind)]

    def read(self, body: RequestBody, explain: bool = False) -> RequestRows:
        """Return the rows of a body. explain: the endpoint asks for explanations.

        Raises InputError for a body that is not as documented, has too many rows, or refers to media instead of containing them.
        """
        if is_multipart(body.content_type):
            # One more than allowed, so that the error is about the number of rows.
            most = (self._max_rows + 1) * len(self._fields) + len(_OPTIONS)
            found = _read_form(parse_multipart(body.content_type, body.content, most), self._fields)
        else:
            parsed = parse_body(self._model, body.content, is_mended=True)
            rows = parsed.inputs if isinstance(parsed.inputs, list) else [parsed.inputs]
            found = RequestRows(
                [row.model_dump(by_alias=True) for row in rows],
                parsed.scores,
                parsed.explain,
                parsed.subject,
            )
        if len(found.rows) > self._max_rows:
            fix = f"Send at most {self._max_rows} rows per request."
            raise InputError(f"{len(found.rows)} rows are too many", "inputs", fix)
        for field, known in self._media:
            for place, row in enumerate(found.rows):
                row[field.name] = known.receive(field, row[field.name], f"row {place}")
        if explain or found.explain:
            _require_explainable(found.rows)
        return found


def _require_explainable(rows: Sequence[Mapping[str, Any]]) -> None:
    chars = sum(len(value) for row in rows for value in row.values() if isinstance(value, str))
    if len(rows) > MAX_EXPLAINED_ROWS or chars > MAX_EXPLAINED_CHARS:
        fix = f"Explain at most {MAX_EXPLAINED_ROWS} rows and {MAX_EXPLAINED_CHARS:,} characters per request."
        raise InputError(f"{len(rows)} rows of {chars:,} characters are too much to explain", "explain", fix)


def _read_form(parts: Sequence[Part], fields: Mapping[str, Field]) -> RequestRows:
    """Return the rows of a form. A repeated input is one row each; options are separate parts."""
    cells: dict[str, list[Any]] = {name: [] for name in fields}
    options: dict[str, str] = {}
    for part in parts:
        option = part.name.removeprefix(_OPTION_PREFIX)
        if part.name in fields:
            cells[part.name].append(_cell(fields[part.name], part))
        elif option in _OPTIONS:
            if option in options:
                raise InputError(f"the option '{option}' is given twice", "body", "Send it once.")
            options[option] = _text(part)
        else:
            fix = did_you_mean(part.name[:64], [*fields, *_OPTIONS])
            raise InputError(f"'{part.name[:64]}' is neither an input nor an option", "body", fix)
    missing = {name for name, values in cells.items() if not values and kind(fields[name].kind).is_optional}
    given = {name: values for name, values in cells.items() if name not in missing}
    rows = [row | dict.fromkeys(missing) for row in _rows(given)]
    return RequestRows(
        rows, _flag(options, "scores"), _flag(options, "explain"), _subject(options.get("subject"))
    )


def _rows(cells: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    counts = {name: len(values) for name, values in cells.items()}
    rows = max(counts.values(), default=0)
    missing = next((name for name, count in counts.items() if not count), None)
    if missing is not None:
        raise InputError(f"the input '{missing}' is missing", "body", f"Send a part named '{missing}'.")
    uneven = next((name for name, count in counts.items() if count != rows), None)
    if uneven is not None:
        most = next(name for name, count in counts.items() if count == rows)
        problem = f"the input '{most}' has {rows} parts and '{uneven}' has {counts[uneven]}"
        fix = "Repeat every input equally often: the first part of each makes the first row, and so on."
        raise InputError(problem, "body", fix)
    return [dict(zip(cells, values, strict=True)) for values in zip(*cells.values(), strict=True)]


def _cell(field: Field, part: Part) -> Any:
    known = kind(field.kind)
    if part.filename is not None:
        if not isinstance(known, MediaKind):
            fix = "Send its value as a plain part, without a file name."
            raise InputError(f"'{field.name}' is a {field.kind}, not a file", "body", fix)
        # If no file is chosen, browsers send an empty one without a name.
        name = part.filename.replace("\\", "/").rpartition("/")[2]
        return Blob.of(part.content, name[:200]) if part.filename or part.content else None
    try:
        return known.from_form(_text(part))
    except (ValueError, RecursionError):
        raise InputError(f"'{field.name}' is not JSON", "body", f"Write the {field.kind} as JSON.") from None


def _text(part: Part) -> str:
    try:
        return part.content.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(
            f"the part '{part.name[:64]}' is not UTF-8 text", "body", "Send it as UTF-8."
        ) from None


def _flag(options: Mapping[str, str], name: str) -> bool:
    text = options.get(name, "").strip().lower()
    if text not in _FLAGS:
        raise InputError(f"the option '{name}' is neither true nor false", name, "Write true or false.")
    return _FLAGS[text]


def _subject(text: str | None) -> str | None:
    if text is not None and not 1 <= len(text) <= MAX_SUBJECT_CHARS:
        raise InputError(
            f"the subject has {len(text)} characters", "subject", f"Name it in 1 to {MAX_SUBJECT_CHARS} characters."
        )  # fmt: skip
    return text
