"""Reads the YAML of a spec: its values, the line of each key, and readable errors."""

from __future__ import annotations

import re
from typing import Any

import yaml

from rung.core.errors import Problem, SpecError

Key = tuple[str | int, ...]
# A spec is about a page. A larger file is a mistake (a data file?) or an attack, and PyYAML takes seconds to read it.
MAX_CHARS = 200_000
_MAX_VALUES = 10_000
_MAX_DEPTH = 30
_NUMBER_TAGS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
# Without hexadecimal, octal, binary and base 60. `.inf` and `.nan` are refused where they do not belong.
_PLAIN_NUMBER = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9_]*)(?:\.[0-9_]*)?|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF|nan|NaN|NAN)"
)


def read_yaml(text: str, where: str) -> tuple[dict[str, Any], dict[Key, int], list[Problem]]:
    """Return the values, the line of each key, and duplicate keys as problems; raises SpecError if it cannot be parsed."""
    if len(text) > MAX_CHARS:
        size = f"the file has more than {MAX_CHARS:,} characters; a spec is about a page."
        raise _yaml_error(0, size, "Is this the spec?", where)
    lines: dict[Key, int] = {}
    problems: list[Problem] = []
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            if _count_values(node, {}, 0) > _MAX_VALUES:
                what = f"its anchors expand to more than {_MAX_VALUES:,} values."
                raise _yaml_error(0, what, "Write the values out.", where)
            _collect_lines(node, (), lines, problems)
        raw = yaml.safe_load(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, int(error.position)) + 1
        what = f"the character U+{ord(str(text[int(error.position)])):04X} is not allowed."
        raise _yaml_error(line, what, "Delete it.", where) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        what = f"{getattr(error, 'problem', None) or 'not readable'}."
        raise _yaml_error(
            mark.line + 1 if mark else 0, what, "Check indentation, quotes and colons.", where
        ) from None
    except (RecursionError, _NestingError):
        raise _yaml_error(0, "it is nested too deeply.", "A spec has only a few levels.", where) from None
    except ValueError as error:  # A date such as 2024-13-45.
        raise _yaml_error(0, f"a value cannot be read: {error}.", "Put dates in quotes.", where) from None
    if not isinstance(raw, dict):
        raise _yaml_error(
            1, "the file must contain keys and values.", "Start with `task: text_classification`.", where
        )
    return raw, lines, problems


class _NestingError(Exception):
    """The nodes are nested too deeply, or recursively."""


def _yaml_error(line: int, what: str, fix: str, where: str) -> SpecError:
    return SpecError([Problem(line, "YAML", what, fix)], where)


def _count_values(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """Return the number of values of a node, with each use of an anchor counted."""
    if depth > _MAX_DEPTH:
        raise _NestingError
    if id(node) not in known:
        if isinstance(node, yaml.MappingNode):
            below = [part for pair in node.value for part in pair]
        else:
            below = node.value if isinstance(node, yaml.SequenceNode) else []
        known[id(node)] = 1 + sum(_count_values(part, known, depth + 1) for part in below)
    return known[id(node)]


def _collect_lines(node: yaml.Node, key: Key, lines: dict[Key, int], problems: list[Problem]) -> None:
    lines.setdefault(key, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            below = (*key, str(name.value))
            if below in lines:
                dotted = ".".join(map(str, below))
                problem = f"is given here and in line {lines[below]}."
                problems.append(Problem(name.start_mark.line + 1, dotted, problem, "Keep one."))
                for known in [known for known in lines if known[: len(below)] == below]:
                    del lines[known]  # The later one wins, as in YAML.
            lines[below] = name.start_mark.line + 1
            _collect_lines(value, below, lines, problems)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect_lines(value, (*key, index), lines, problems)
    elif (
        isinstance(node, yaml.ScalarNode)
        and node.tag in _NUMBER_TAGS
        and not _PLAIN_NUMBER.fullmatch(node.value)
    ):
        problems.append(_unusual_number(node, key))


def _unusual_number(node: yaml.ScalarNode, key: Key) -> Problem:
    """Return the problem of a number that YAML reads as another one than people do: 0x10, 010, 1:30."""
    value = yaml.safe_load(node.value)
    problem = f"'{node.value}' is {value} to YAML, and may be meant otherwise."
    fix = f"Write {value}, or put it in quotes if it is text."
    return Problem(node.start_mark.line + 1, ".".join(map(str, key)), problem, fix)
