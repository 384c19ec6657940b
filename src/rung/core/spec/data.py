"""The sections `data` and `certify`: sources of rows and meaning of columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal
from unicodedata import normalize

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_serializer, model_validator
from pydantic_core import PydanticKnownError

from rung.core.spec.source_names import masked, short_name


def as_tuple(value: Any) -> Any:
    """Return a list as a tuple, and any other value as a tuple of one."""
    return tuple(value) if isinstance(value, list) else value if isinstance(value, tuple) else (value,)


def _as_paths(value: Any) -> Any:
    """Return one path, or several as a tuple; raises a readable error for anything else."""
    if not isinstance(value, list | tuple):
        if value == "":
            raise PydanticKnownError("string_too_short", {"min_length": 1})
        if not isinstance(value, str):
            raise PydanticKnownError("string_type")
        return value
    if not value or not all(isinstance(item, str) and item for item in value):
        raise ValueError("a list of sources must contain paths")
    return tuple(value)


def _as_words(value: Any) -> Any:
    return value if value is None else as_tuple(value)


def _as_sheet(value: Any) -> Any:
    if value is None or (isinstance(value, str) and value) or (type(value) is int and value >= 1):
        return value
    raise ValueError("must be the name of a sheet, or its number from 1")


Paths = Annotated[str | tuple[str, ...], BeforeValidator(_as_paths)]


class Section(BaseModel):
    """A section of the spec: unknown keys and values of another type are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=False)


def _normalized(name: Any) -> Any:
    if isinstance(name, list | tuple):
        return type(name)(map(_normalized, name))
    return normalize("NFC", name) if isinstance(name, str) else name


class _SourceSpec(Section):
    """A source of rows. Its dumps and its repr contain no passwords: see `masked`."""

    # Declared here so that it is the first field; subclasses define its type.
    path: Any = None
    query: str | None = Field(default=None, min_length=1, description="SQL query, if the path is a database")
    sheet: Annotated[int | str | None, BeforeValidator(_as_sheet)] = Field(
        default=None,
        description="sheet of a workbook, by name or number from 1; default: the first that is not hidden",
    )
    header_row: int | None = Field(
        default=None,
        ge=1,
        description="row of the sheet that names the columns, from 1; default: the first filled one below titles",
    )
    split: str | None = Field(
        default=None,
        min_length=1,
        description="split of a Hugging Face dataset; default: train, or the only one",
    )

    @field_serializer("path")
    def _without_secrets(self, value: str | tuple[str, ...] | None) -> str | list[str] | None:
        return (
            value if value is None else masked(value) if isinstance(value, str) else list(map(masked, value))
        )

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return [
            (name, self.model_dump()[name] if name == "path" else value)
            for name, value in super().__repr_args__()
        ]


# Keys of `data` that name columns.
_COLUMN_KEYS = ("input", "target", "label_columns", "group", "time")


class DataSpec(_SourceSpec):
    """Location of the examples and meaning of the columns."""

    path: Paths = Field(
        description="a file (CSV, TSV, JSON lines or array, Parquet, Excel, OpenDocument; also .gz .bz2 .xz .zst .zip), a folder (or .zip) with one "
        "sub-folder per class, a pattern such as `data/2024-*.csv`, an http(s) URL, a database "
        "(`sqlite:///tickets.db`), a Hugging Face dataset (`hf:owner/name`), or a list of these"
    )
    input: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = Field(
        default=("text",),
        min_length=1,
        description="input column, or list of input columns; for tables the default is all except target, group and time",
    )
    target: str = Field(default="label", min_length=1, description="target column")
    label_columns: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = Field(
        default=(),
        description="columns in place of a target column: of 0 and 1, one a label, for text_multilabel, image_multilabel and tabular_multilabel; of values, one a field, for text_extraction and document_reading",
    )
    corpus: str | None = Field(
        default=None,
        min_length=1,
        description="column of whole texts in place of input and target, for text_generation: the first part of each is the prompt, the rest what is to be written",
    )
    separator: str | None = Field(
        default=None,
        min_length=1,
        max_length=5,
        description="mark between the labels of a target cell, for tasks whose rows have several labels; default: found",
    )
    missing_labels: Annotated[tuple[str, ...] | None, BeforeValidator(_as_words)] = Field(
        default=None,
        description="words in the target column that mean there is no label; default: None, NA, nan, null and the like, and "
        "a build asks where None or NA is frequent; `[]`: every word is a label",
    )
    group: str | None = Field(
        default=None,
        description="group column (a customer, a thread): a group stays on one side of the split",
    )
    missing_group: Literal["own", "quarantine"] | None = Field(
        default=None,
        description="rows with an empty cell in the group column: own: each is a group of its own; quarantine: they are left "
        "out; default: own, and a build warns of them",
    )
    time: str | None = Field(
        default=None, description="date column: certify on the latest rows instead of random ones"
    )
    near_duplicates: Literal["drop", "keep"] = Field(
        default="drop",
        description="training rows that are nearly the text of a certification row: drop them, or keep them where new rows will "
        "resemble old ones as often as these do, such as texts of few templates; exact copies never stand on both sides",
    )
    corrections: str | None = Field(
        default=None,
        min_length=1,
        description="file of corrected labels, written by `rung data correct`; affects only training rows",
    )
    encoding: Literal["utf-8", "utf-16", "gb18030", "cp1252", "latin-1"] | None = Field(
        default=None, description="character encoding; default: detected"
    )

    @model_validator(mode="before")
    @classmethod
    def _normalize_names(cls, raw: Any) -> Any:
        """Write names of columns in one form of Unicode (NFC), as readers do."""
        if not isinstance(raw, dict):
            return raw
        names = {key: _normalized(raw[key]) for key in _COLUMN_KEYS if key in raw}
        return raw | names

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the paths, one or several."""
        return (self.path,) if isinstance(self.path, str) else self.path

    @property
    def shown(self) -> str:
        """Return the name of the source in messages, without secrets."""
        return short_name(self.path)

    @property
    def identity(self) -> str:
        """Return the identity of this source in certificate.lock: paths without secrets, sheet, split, query."""
        parts = [", ".join(map(masked, self.paths)), self.sheet, self.split, self.query]
        return " | ".join(str(part) for part in parts if part is not None)


class CertifySpec(_SourceSpec):
    """Certification rows. By default a share of the data, clamp(400 / n, 0.1, 0.3), is held out."""

    fraction: float | None = Field(
        default=None, ge=0.0, le=0.9, description="held-out share of units; 0: no certificate"
    )
    path: str | None = Field(
        default=None, description="separate certification rows; accepts what `data.path` accepts"
    )

    groups: Literal["same", "new"] | None = Field(
        default=None,
        description="with `data.group` and `data.time`: certify on later rows of the same groups that train (the default), "
        "or only on groups that are new after the cut-off",
    )
    look: Literal["likely", "always"] = Field(
        default="likely",
        description="when to look at the certification rows: if the bound is expected to clear the bar (a chance to pass of "
        "at least one half), or always if the estimate clears it; a look that fails halves the error left for these rows",
    )

    @model_validator(mode="after")
    def _one_source(self) -> CertifySpec:
        if self.path is not None and self.fraction is not None:
            raise ValueError("give fraction or path, not both")
        return self

    @property
    def identity(self) -> str | None:
        """Return the identity of these rows in certificate.lock, without secrets; None without a path."""
        if self.path is None:
            return None
        parts = [masked(self.path), self.sheet, self.split, self.query]
        return " | ".join(str(part) for part in parts if part is not None)
