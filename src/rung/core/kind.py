"""The Kind interface: how the values of a field are read, validated, stored, compared, shown, measured and journaled.

A subclass in `modalities/<modality>/` (entry point group `rung.kinds`) is the kind that a schema's field names.
Preparing, serving, pages, drift and the journal ask the kind; none of them lists kinds.
"""

from __future__ import annotations

import html
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from rung.core.blobs import Blob, MediaResolver, blob_of_file, decoded_base64
from rung.core.errors import InputError
from rung.core.plugins import KINDS, installed, load
from rung.core.source_place import SourcePlace
from rung.core.types import Field

# Reads one value that came from outside, given where it came from, for errors. Raises InputError.
Reader = Callable[[Any, str], Any]
# How drift bins what a kind measures: quantiles, the frequent words, powers of two, or writing systems.
Scale = str
NUMBER, CATEGORY, LENGTH, SCRIPT = "number", "category", "length", "script"
MAX_CHARS = 1_000_000


class Kind(ABC):
    """One kind of value. The defaults are those of plain JSON values.

    name: the key in schemas and entry points. is_media: values are blobs, sent as uploads or base64. is_text: values
    are text, and stand in tables as they are. is_prose: texts that are mended, masked and compared word by word. repeats: values come again and again, so equal ones share one object.
    is_number: values are finite numbers, held as arrays. is_optional: a row or a request may lack the field. max_bytes: of one value. near_least: see `near_vector`. extra: of rung,
    whose packages reading values needs, wherever the model serves.
    """

    name: ClassVar[str]
    is_media: ClassVar[bool] = False
    is_text: ClassVar[bool] = False
    is_prose: ClassVar[bool] = False
    repeats: ClassVar[bool] = False
    is_number: ClassVar[bool] = False
    is_optional: ClassVar[bool] = False
    max_bytes: ClassVar[int] = 4 << 20
    near_least: ClassVar[float] = 1.0
    extra: ClassVar[str] = ""

    def tiny(self) -> list[Any]:
        """Return a few values as a caller sends them, for the contract's tests."""
        return []

    # Requests

    @abstractmethod
    def reader(self, field: Field) -> Reader:
        """Return the function that reads a value of a request, or of a caller in Python, for a field."""

    def from_form(self, text: str) -> Any:
        """Return the value of a form's plain part or of a flag: the text, or what it is as JSON. Raises ValueError."""
        if self.is_text or self.is_number or self.is_media:
            return text
        return json.loads(text, parse_constant=_refuse_constant) if text.strip() else None

    def read_column(self, field: Field, read: Reader, cells: Any, where: str) -> Sequence[Any]:
        """Return many cells of a field as `read` would one by one; a kind may be faster. cells: a list or an array."""
        return [read(cell, where) for cell in (cells.tolist() if hasattr(cells, "tolist") else cells)]

    def request_type(self, field: Field) -> Any:
        """Return the annotation that checks the field in a JSON body, for pydantic."""
        return Any

    def json_schema(self, field: Field) -> dict[str, Any]:
        """Return the JSON schema of the field, in requests and in answers."""
        return {}

    def widget(self, field: Field) -> dict[str, Any]:
        """Return the form element of the try page: its `type` and what that type needs."""
        return {"type": "json"}

    # Sources and tables on disk

    def parse(self, cell: Any, place: SourcePlace) -> Any:
        """Return the value of a source's cell.

        Raises ValueError, "reason: detail", for one that cannot be used; the detail goes on after the column's name.
        """
        return cell

    def cast(self, field: Field, text: str) -> Any:
        """Return the value of a table's text cell by the field's form, None when it is missing.

        For kinds that columns of tables are found to be. Raises ValueError for a cell that is not of the kind.
        """
        return text

    def to_json(self, value: Any) -> Any:
        """Return a value as JSON: what rows for another process and self-tests hold."""
        return value

    def from_json(self, raw: Any, media: MediaResolver) -> Any:
        """Return what `to_json` was given."""
        return raw

    def to_cell(self, value: Any) -> str:
        """Return a value as the text that a table on disk holds."""
        if self.is_text and (value is None or isinstance(value, str)):
            return value or ""
        return json.dumps(self.to_json(value), ensure_ascii=False)

    def from_cell(self, cell: str, media: MediaResolver) -> Any:
        """Return what `to_cell` was given."""
        return cell if self.is_text else self.from_json(json.loads(cell), media)

    # Identity, sight, measures

    def identity(self, value: Any) -> str:
        """Return what equal inputs have in common: units and duplicates go by it."""
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)

    def is_empty(self, value: Any) -> bool:
        """Return whether nothing is there to answer."""
        return value is None

    def preview_text(self, value: Any, chars: int = 280) -> str:
        """Return the beginning of a value as one line."""
        text = " ".join(str("" if value is None else value).split())
        return text if len(text) <= chars else text[: chars - 1] + "…"

    def preview_html(self, value: Any, chars: int = 280) -> str:
        """Return a value as HTML for a page; text in it is escaped."""
        return html.escape(self.preview_text(value, chars))

    def measure(self, values: Sequence[Any]) -> Mapping[str, tuple[Scale, Sequence[Any]]]:
        """Return what drift and plans may measure of a column: name -> (scale, one value a row; None: not known)."""
        return {}

    def space(self) -> Any:
        """Return a class that learns a space of whole rows from the texts of all fields of this kind; None for none."""
        return None

    def near_vector(self, value: Any) -> Any:
        """Return numbers of length 1 whose product with those of a nearly equal value is at least `near_least`.

        None where the kind has no such vector, or this value none.
        """
        return None

    def thumbnail(self, value: Any) -> str:
        """Return a small picture of a value as a data URI, for pages; "" where there is none."""
        return ""

    def origin(self, value: Any) -> str:
        """Return what a value was made with, such as the camera of a photo, to compare figures by; "" where nothing tells."""
        return ""

    def picture(self, value: Any) -> str:
        """Return a value as a picture that people can judge, as a data URI; "" where there is none."""
        return self.thumbnail(value)

    def without_metadata(self, value: Any) -> Any:
        """Return a value without what its file says about people beside its content, for what ships; raises RungError."""
        return value

    def subject(self, value: Any) -> str:
        """Return whom or what a value's file says it is of, such as a patient's id; "" where it does not; raises RungError."""
        return ""

    def personal_metadata(self, value: Any) -> frozenset[str]:
        """Return what a value's file says about people beside its content, such as "location"; raises RungError."""
        return frozenset()

    # Journal

    def to_journal(self, value: Any, keep: bool) -> Any:
        """Return what the journal holds of a value. keep: media as content too, not by reference alone."""
        return self.to_json(value)

    def from_journal(self, raw: Any) -> Any:
        """Return a journal's value as an input; media without content can be told apart and measured, not read."""
        return raw


class MediaKind(Kind):
    """A kind whose values are blobs. A subclass says which files it reads and what it finds in them.

    suffixes: endings, in lower case, that tell its files in a folder. accepts: MIME types for forms and OpenAPI.
    """

    is_media = True
    max_bytes = 16 << 20
    suffixes: ClassVar[frozenset[str]] = frozenset()
    accepts: ClassVar[str] = "*/*"

    def tiny(self) -> list[Any]:
        return [b"some bytes", b"\x00\x01\x02"]

    def inspect(self, blob: Blob) -> Mapping[str, float]:
        """Return measures of a blob (width, duration, ...), from its head where that is enough.

        Raises ValueError, "reason: detail", for content that cannot be used.
        """
        return {}

    def reader(self, field: Field) -> Reader:
        def read(value: Any, where: str) -> Any:
            blob = self.receive(field, value, where)
            if blob is None:
                return None
            try:
                found = dict(self.inspect(blob))
            except ValueError as error:
                raise self._refusal(field, error, where) from None
            return Blob(blob.sha256, blob.size, blob.name, found, blob.source)

        return read

    def receive(self, field: Field, value: Any, where: str) -> Blob | None:
        """Return the blob of a value of a request, its content not yet looked at; None when there is none.

        Raises InputError for what holds no media: a path, an address, too much.
        """
        if value is None or value == "":
            return None
        try:
            return self._blob(value)
        except ValueError as error:
            raise self._refusal(field, error, where) from None

    def _refusal(self, field: Field, error: ValueError, where: str) -> InputError:
        reason = str(error).partition(": ")[2] or str(error)
        fix = f"Send the content of one {self.name}, as an upload or as base64; paths and addresses are not opened."
        return InputError(f"'{field.name}' cannot be used: {reason}", where, fix)

    def _blob(self, value: Any) -> Blob:
        """Return the blob of a value of a request or of a caller in Python; raises ValueError."""
        name = ""
        if isinstance(value, Blob):
            if value.size > self.max_bytes:
                raise ValueError(f"more than {self.max_bytes:,} bytes")
            if not value.size:
                raise ValueError("it is empty")
            return value
        # Only Python can send a path: JSON has none, and texts are never taken for one.
        if isinstance(value, Path):
            return blob_of_file(value, value.name, self.max_bytes)
        if isinstance(value, Mapping):
            name, value = str(value.get("name") or "")[:200], value.get("base64")
        if isinstance(value, str):
            value = decoded_base64(value, self.max_bytes)
        if not isinstance(value, bytes | bytearray):
            raise ValueError(f"a {type(value).__name__} is no {self.name}")
        if len(value) > self.max_bytes:
            raise ValueError(f"more than {self.max_bytes:,} bytes")
        if not value:
            raise ValueError("it is empty")
        return Blob.of(bytes(value), name)

    def request_type(self, field: Field) -> Any:
        from typing import Annotated

        from pydantic import WithJsonSchema

        return Annotated[str | dict[str, Any] | None, WithJsonSchema(self.json_schema(field))]

    def json_schema(self, field: Field) -> dict[str, Any]:
        text = {"type": "string", "contentEncoding": "base64", "contentMediaType": self.accepts}
        named = {
            "type": "object",
            "required": ["base64"],
            "properties": {"base64": text, "name": {"type": "string"}},
        }
        return {"anyOf": [text, named], "description": f"one {self.name}, at most {self.max_bytes:,} bytes"}

    def widget(self, field: Field) -> dict[str, Any]:
        return {"type": "file", "accept": self.accepts, "max_bytes": self.max_bytes}

    def parse(self, cell: Any, place: SourcePlace) -> Any:
        if isinstance(cell, Blob):
            return cell
        if cell is None or cell == "":
            return None
        if isinstance(cell, str) and cell[:5].lower() != "data:":
            path = place.find(cell)
            blob = place.store.add_file(path, cell, self.max_bytes)
        else:
            named = cell.get("path") or cell.get("name") if isinstance(cell, Mapping) else ""
            blob = place.store.add_bytes(self._embedded(cell), str(named or ""))
        if not blob.size:
            raise ValueError("empty_file: holds no bytes")
        found = dict(self.inspect(blob)) if place.opens_media else {}
        return Blob(blob.sha256, blob.size, blob.name, found, blob.source)

    def _embedded(self, cell: Any) -> bytes:
        """Return the bytes that a cell itself holds: of Parquet (`{"bytes": ...}`), or base64 of JSON."""
        if isinstance(cell, Mapping):
            cell = cell.get("bytes") or cell.get("base64") or ""
        if isinstance(cell, str):
            try:
                cell = decoded_base64(cell, self.max_bytes)
            except ValueError as error:
                raise ValueError(f"unreadable: {error}") from None
        if not isinstance(cell, bytes | bytearray):
            raise ValueError(f"unreadable: holds a {type(cell).__name__}, which is no {self.name}")
        if len(cell) > self.max_bytes:
            raise ValueError(f"too_large: holds {len(cell):,} bytes; at most {self.max_bytes:,}")
        return bytes(cell)

    def to_json(self, value: Any) -> Any:
        return value.reference() if isinstance(value, Blob) else None

    def from_json(self, raw: Any, media: MediaResolver) -> Any:
        if not raw:
            return None
        blob = media.resolve(raw)
        return Blob(blob.sha256, blob.size, blob.name, dict(raw.get("measures") or {}), blob.source)

    def identity(self, value: Any) -> str:
        return value.sha256 if isinstance(value, Blob) else ""

    def preview_text(self, value: Any, chars: int = 280) -> str:
        return super().preview_text(value.shown() if isinstance(value, Blob) else "", chars)

    def preview_html(self, value: Any, chars: int = 280) -> str:
        shown, picture = super().preview_html(value, chars), self.thumbnail(value)
        if not picture:
            return shown
        return (
            f'<img class="thumb" src="{html.escape(picture)}" alt="{shown}" title="{shown}" loading="lazy">'
        )

    def measure(self, values: Sequence[Any]) -> Mapping[str, tuple[Scale, Sequence[Any]]]:
        blobs = [value if isinstance(value, Blob) else None for value in values]
        names = sorted({name for blob in blobs if blob for name in blob.measures})
        found: dict[str, tuple[Scale, Sequence[Any]]] = {
            "size": (NUMBER, [blob.size if blob else None for blob in blobs])
        }
        return found | {
            name: (NUMBER, [blob.measures.get(name) if blob else None for blob in blobs]) for name in names
        }

    def to_journal(self, value: Any, keep: bool) -> Any:
        import base64

        if not isinstance(value, Blob):
            return None
        content = {"base64": base64.b64encode(value.read()).decode("ascii")} if keep else {}
        return value.reference() | content

    def from_journal(self, raw: Any) -> Any:
        if not isinstance(raw, Mapping) or "sha256" not in raw:
            return None
        blob = Blob.from_reference(raw)
        if raw.get("base64"):
            whole = Blob.of(decoded_base64(raw["base64"], self.max_bytes), blob.name)
            return Blob(whole.sha256, whole.size, whole.name, blob.measures, whole.source)
        return blob


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def kind_names() -> tuple[str, ...]:
    """Return the names of all installed kinds."""
    return tuple(installed(KINDS))


def kind(name: str) -> Kind:
    """Return the kind of that name; raises RungError with the nearest name when there is none."""
    return _made(load(KINDS, name, Kind))  # type: ignore[type-abstract]


def media_kinds() -> dict[str, MediaKind]:
    """Return which kind of media each file ending is told by."""
    found: dict[str, MediaKind] = {}
    for name in kind_names():
        known = kind(name)
        if isinstance(known, MediaKind):
            found |= dict.fromkeys(known.suffixes, known)
    return found


_instances: dict[type[Kind], Kind] = {}


def _made(family: type[Kind]) -> Kind:
    """Return the one instance of a class: kinds have no state."""
    if family not in _instances:
        _instances[family] = family()
    return _instances[family]


def identity_of(fields: Sequence[Field], inputs: Mapping[str, Any]) -> str:
    """Return the identities of a row's inputs as one text."""
    return "\x1f".join(kind(field.kind).identity(inputs.get(field.name)) for field in fields)
