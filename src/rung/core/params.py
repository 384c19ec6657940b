"""Validate the parameters of a model family."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rung.core.errors import RungError, did_you_mean


def make_params(kind: type, given: Mapping[str, Any]) -> Any:
    """Return the family's parameters from the spec's; raises RungError for unknown names and wrong values."""
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for name in given:
        if name not in fields:
            raise RungError(f"'{name}' is not a parameter", fix=did_you_mean(name, fields))
    try:
        return TypeAdapter(kind).validate_python(dict(given))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "params"
        default = getattr(kind(), name, None)
        message = first["msg"].removeprefix("Input ").replace("should", "must")
        fix = f"Its default is {default!r}." if name in fields else ""
        raise RungError(f"the parameter '{name}' {message}, not {first['input']!r}", fix=fix) from None
