"""Request models made from a bundle's schema. They validate bodies and appear in OpenAPI."""

from __future__ import annotations

import codecs
import json
import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model

from rung.core import types
from rung.core.column_names import missing_error
from rung.core.errors import InputError
from rung.core.kind import kind

# An explanation takes far longer than a prediction.
MAX_EXPLAINED_ROWS = 20
MAX_EXPLAINED_CHARS = 50_000
# Length of a feedback's answer, as JSON.
MAX_ANSWER_CHARS = 10_000
MAX_SUBJECT_CHARS = 200
MAX_ITEM_CHARS = 500


def _require_json(value: Any) -> Any:
    """Return a value that is valid JSON; pydantic's parser also accepts NaN, infinity and integers of any length."""
    json.dumps(value, allow_nan=False)
    return value


_Json = Annotated[Any, AfterValidator(_require_json)]


class FeedbackRequest(BaseModel):
    """Feedback on a prediction."""

    model_config = ConfigDict(extra="forbid")
    prediction: str = Field(pattern=r"^[0-9a-f]{32}$", description="id of the prediction, from its response")
    answer: _Json = Field(default=None, description="the correct answer: a label, a number, ...; or `item`")
    item: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_ITEM_CHARS,
        description="of a list: the item that was taken; send one feedback for each, in place of `answer`",
    )
    source: str | None = Field(
        default=None,
        pattern=r"^(user|review|system)$",
        description="user, review or system; default: by the key's role. Only the roles review and admin may send review",
    )


class SubjectRequest(BaseModel):
    """A data subject."""

    model_config = ConfigDict(extra="forbid")
    subject: str = Field(
        min_length=1, max_length=MAX_SUBJECT_CHARS, description="the `subject` of the prediction requests"
    )


def row_model(name: str, schema: types.Schema, unused: Collection[str] = ()) -> type[BaseModel]:
    """Return the request model of one row. unused: inputs that the model does not read and a row may lack."""
    alone = len(schema.inputs) == 1
    fields: dict[str, Any] = {
        # A column may not be a valid Python name, so it is the alias of a generated field name.
        f"field_{i}": (
            # A null text among other inputs is an empty one; alone it is nothing to answer.
            str if alone and kind(field.kind).is_prose else kind(field.kind).request_type(field),
            Field(None if field.name in unused else ..., alias=field.name, description=field.kind),
        )
        for i, field in enumerate(schema.inputs)
    }
    config = ConfigDict(extra="ignore", title=f"{name}-row")
    return create_model(f"{name}-row", __config__=config, **fields)


def request_model(
    name: str, schema: types.Schema, max_rows: int, unused: Collection[str] = ()
) -> type[BaseModel]:
    """Return the request model of predict and explain. unused: as for `row_model`."""
    row = row_model(name, schema, unused)
    fields: dict[str, Any] = {
        "inputs": (list[row] | row, Field(description=f"one row, or up to {max_rows}")),  # type: ignore[valid-type]
        "scores": (bool, Field(False, description="also return the probability of every label")),
        "explain": (bool, Field(False, description="also return the parts of the input that decided")),
        "subject": (
            str | None,
            Field(
                None, min_length=1, max_length=MAX_SUBJECT_CHARS, description="data subject of the rows: their data can be exported and erased by it"
            ),
        ),
    }  # fmt: skip
    return create_model(f"{name}-request", __config__=ConfigDict(extra="forbid"), **fields)


# Escapes of a JSON text, one by one: a pair of surrogates, half of one, anything else.
_LONE_SURROGATE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def _replaced(match: re.Match[bytes]) -> bytes:
    """Return an escape as it is; half of a surrogate pair, which is no character, as U+FFFD."""
    return rb"\ufffd" if match["half"] else match[0]


def _missing_inputs(found: Sequence[Any]) -> InputError | None:
    """Return an error that names all inputs that the first incomplete row lacks; None where something else is wrong too.

    `inputs` is read as a list of rows and as one row, and each way has its own errors.
    """
    ways: dict[Any, list[Any]] = defaultdict(list)
    for item in found:
        ways[item["loc"][:2]].append(item)
    for way, items in ways.items():
        if way[:1] == ("inputs",) and len(way) > 1 and all(item["type"] == "missing" for item in items):
            places = [item["loc"] for item in items]
            row = places[0][2:-1]
            names = [str(loc[-1]) for loc in places if loc[2:-1] == row]
            return missing_error(names, f"row {row[0]}" if row else "inputs")
    return None


def parse_body(model: type[BaseModel], body: bytes, is_mended: bool = False) -> Any:
    """Return a body as its model; raises InputError with a message that does not repeat the input.

    is_mended: half of a surrogate pair is read as U+FFFD, so that one row does not spoil the others.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            is_json = error.errors(include_input=False)[0]["type"] != "json_invalid"
            mended = body if is_json or not is_mended else _LONE_SURROGATE.sub(_replaced, body)
            if mended == body:
                raise
            return model.model_validate_json(mended)
    except (ValidationError, RecursionError, OverflowError) as error:
        found = error.errors(include_input=False) if isinstance(error, ValidationError) else []
        if missing := _missing_inputs(found):
            raise missing from None
        where = "; ".join(
            dict.fromkeys(".".join(str(part)[:64] for part in ("body", *item["loc"])) for item in found[:5])
        )
        problem = (
            "; ".join(dict.fromkeys(str(item["msg"]) for item in found[:5])) or "the body cannot be parsed"
        )
        fix = "Send JSON with the fields shown at /docs; GET /v1/models lists a model's inputs."
        raise InputError(problem, where or "body", fix) from None
