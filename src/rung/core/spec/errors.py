"""Converts pydantic's validation errors to readable problems with line and fix."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rung.core.errors import Problem, did_you_mean
from rung.core.spec.yaml import Key

_MESSAGES = {
    "string_type": ("must be text", "Put it in quotes."),
    "float_type": ("must be a number", ""),
    "int_type": ("must be a whole number", ""),
    "int_from_float": ("must be a whole number", ""),
    "model_type": ("must be a section of keys and values", ""),
    "dict_type": ("must be a section of keys and values", ""),
    "tuple_type": ("must be a list", ""),
    "finite_number": ("must be a finite number", ""),
    "invalid_key": ("must have text keys", "Put the key in quotes."),
}
# What keys that are no keys are written as.
_ANOTHER_WAY = {
    "multilabel": "Write `task: text_multilabel` for texts with several labels each, `task: image_multilabel` for images, `task: tabular_multilabel` for rows of a table."
}
_LIMITS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def to_problem(
    error: Mapping[str, Any], lines: Mapping[Key, int], known: Callable[[Key], list[str]]
) -> Problem:
    """Return a validation error as a problem. known: returns the valid keys of a section."""
    key = tuple(part for part in error["loc"] if not str(part).startswith("function-") and part != "[key]")
    if key[:1] == ("bar",) and len(key) > 1 and ("bar", 0) not in lines and key[1] == 0:
        key = (
            "bar",
            *key[2:],
        )  # A single condition is validated as a list of one, but written without an index.
    kind, value = error["type"], error["input"]
    if kind == "invalid_key":
        key = (*key[:-1], str(key[-1]))
    fix = ""
    if kind == "extra_forbidden":
        fix = _ANOTHER_WAY.get(str(key[-1])) or did_you_mean(str(key[-1]), known(key[:-1]))
        problem = "is not a valid key."
    elif kind == "value_error":
        problem = f"{error['ctx']['error']}."
    elif kind == "missing":
        problem = "is missing."
    elif kind == "string_too_short":
        problem = "must not be empty."
    elif kind == "string_pattern_mismatch":
        problem = f"may contain letters, digits, '_' and '-', but not {_format_value(value)}."
    elif kind in _LIMITS:
        words, limit = _LIMITS[kind]
        problem = f"must be {words} {error['ctx'][limit]:g}, not {_format_value(value)}."
    elif kind == "literal_error":
        problem = f"must be {error['ctx']['expected']}, not {_format_value(value)}."
    else:
        plain = error["msg"].removeprefix("Input ").replace("should", "must")
        words, fix = _MESSAGES.get(kind, (plain, ""))
        problem = f"{words}, not {_format_value(value)}."
        fix = _as_number(value) if kind == "float_type" and isinstance(value, str) else fix
    return with_line(Problem(0, ".".join(map(str, key)), problem, fix), lines, key)


def with_line(problem: Problem, lines: Mapping[Key, int], key: Key = ()) -> Problem:
    """Return a problem with the line of its key, or of the nearest parent key."""
    key = key or tuple(int(part) if part.isdigit() else part for part in problem.key.split("."))
    return replace(
        problem, line=next((lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in lines), 0)
    )


def _as_number(value: str) -> str:
    """Return the fix for a number written as text: '90%', '"0.9"', '0,9'."""
    text = value.strip().replace(",", ".")
    try:
        return f"Write {float(text[:-1]) / 100:g}." if text.endswith("%") else f"Write {float(text):g}."
    except ValueError:
        return ""


def _format_value(value: Any) -> str:
    """Return a value in short form, as in YAML."""
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 60
    return short.repr(value) if isinstance(value, str | float | int) else f"'{str(value)[:60]}'"
