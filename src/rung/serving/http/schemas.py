"""What a request may look like, made from a bundle's schema: it checks bodies and is what OpenAPI shows."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from rung.core import types
from rung.core.errors import InputError

# Saying why takes far longer than answering.
MAX_EXPLAINED_ROWS = 20
MAX_EXPLAINED_CHARS = 50_000
# The body of a feedback's answer, as JSON.
MAX_ANSWER_CHARS = 10_000


def _require_json(value: Any) -> Any:
    """Return a value that is JSON for every reader; the parser also takes NaN, infinity and endless integers."""
    json.dumps(value, allow_nan=False)
    return value


# A cell of a table may be missing; a number or a date may come as people write it.
_Cell = str | bool | int | Annotated[float, Field(allow_inf_nan=False)] | None
_Json = Annotated[Any, AfterValidator(_require_json)]
_FIELD_TYPES: dict[str, Any] = {
    "text": str,
    "category": _Cell,
    "number": _Cell,
    "time": _Cell,
    "list": Annotated[list[Any], AfterValidator(_require_json)],
    "json": _Json,
}


class FeedbackRequest(BaseModel):
    """What someone says of a prediction."""

    model_config = ConfigDict(extra="forbid")
    prediction: str = Field(pattern=r"^[0-9a-f]{32}$", description="id that the prediction was answered with")
    answer: _Json = Field(description="what would have been right: a label, a number, ...")
    source: str | None = Field(
        default=None,
        pattern=r"^(user|review|system)$",
        description="user, review or system; default: by the key's role. Only reviewers and admins may say review",
    )


class SubjectRequest(BaseModel):
    """Whose data is meant."""

    model_config = ConfigDict(extra="forbid")
    subject: str = Field(min_length=1, max_length=200, description="as it was named in predictions")


def row_model(name: str, schema: types.Schema) -> type[BaseModel]:
    """Return the model of one row."""
    fields: dict[str, Any] = {
        # The user's column may be no Python name: it is the alias, and the alias is what travels.
        f"field_{i}": (
            _FIELD_TYPES.get(field.kind, str),
            Field(..., alias=field.name, description=field.kind),
        )
        for i, field in enumerate(schema.inputs)
    }
    config = ConfigDict(extra="ignore", title=f"{name}-row")
    return create_model(f"{name}-row", __config__=config, **fields)


def request_model(name: str, schema: types.Schema, max_rows: int) -> type[BaseModel]:
    """Return the model of a request for predictions."""
    row = row_model(name, schema)
    fields: dict[str, Any] = {
        "inputs": (list[row] | row, Field(description=f"one row, or up to {max_rows}")),  # type: ignore[valid-type]
        "scores": (bool, Field(False, description="also the probability of every label")),
        "explain": (bool, Field(False, description="also the parts of the input that decided")),
        "subject": (
            str | None,
            Field(
                None, min_length=1, max_length=200, description="whom the rows are about: exported and erased by it"
            ),
        ),
    }  # fmt: skip
    return create_model(f"{name}-request", __config__=ConfigDict(extra="forbid"), **fields)


def request_rows(body: Any, max_rows: int, explain: bool) -> list[dict[str, Any]]:
    """Return the rows of a checked request; raises InputError for more than may be asked at a time."""
    rows = body.inputs if isinstance(body.inputs, list) else [body.inputs]
    if len(rows) > max_rows:
        raise InputError(f"{len(rows)} rows are too many", "inputs", f"Send at most {max_rows} at a time.")
    asked = [item.model_dump(by_alias=True) for item in rows]
    chars = sum(len(value) for row in asked for value in row.values() if isinstance(value, str))
    if explain and (len(rows) > MAX_EXPLAINED_ROWS or chars > MAX_EXPLAINED_CHARS):
        fix = f"Ask for explanations of at most {MAX_EXPLAINED_ROWS} rows and {MAX_EXPLAINED_CHARS:,} characters at a time."
        raise InputError(f"{len(rows)} rows of {chars:,} characters are too much to explain", "explain", fix)
    return asked
