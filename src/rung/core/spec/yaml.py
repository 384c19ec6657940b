"""Read the YAML of a spec: its values, the line of each key, and words for what is broken."""

from __future__ import annotations

from typing import Any

import yaml

from rung.core.errors import Problem, SpecError

Key = tuple[str | int, ...]
# A spec is a page. More is a mistake (a data file?) or an attack, and PyYAML takes seconds for it.
MOST_CHARS = 200_000
_MOST_VALUES = 10_000
_MOST_DEPTH = 30


def read_yaml(text: str, where: str) -> tuple[dict[str, Any], dict[Key, int], list[Problem]]:
    """Return the values, the line of each key, and the keys that stand twice; raises SpecError when unreadable."""
    if len(text) > MOST_CHARS:
        size = f"the file has more than {MOST_CHARS:,} characters; a spec is a page."
        raise _broken(0, size, "Is this the spec?", where)
    lines: dict[Key, int] = {}
    problems: list[Problem] = []
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            if _size(node, {}, 0) > _MOST_VALUES:
                what = f"its anchors unfold to more than {_MOST_VALUES:,} values."
                raise _broken(0, what, "Write the values out.", where)
            _find_lines(node, (), lines, problems)
        raw = yaml.safe_load(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, int(error.position)) + 1
        what = f"the character U+{ord(str(text[int(error.position)])):04X} is not allowed."
        raise _broken(line, what, "Delete it.", where) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        what = f"{getattr(error, 'problem', None) or 'not readable'}."
        raise _broken(
            mark.line + 1 if mark else 0, what, "Check indentation, quotes and colons.", where
        ) from None
    except (RecursionError, _TooDeepError):
        raise _broken(0, "it is nested too deeply.", "A spec has few levels.", where) from None
    except ValueError as error:  # A date such as 2024-13-45.
        raise _broken(0, f"a value cannot be read: {error}.", "Put dates in quotes.", where) from None
    if not isinstance(raw, dict):
        raise _broken(
            1, "the file must hold keys and values.", "Begin with `task: text_classification`.", where
        )
    return raw, lines, problems


class _TooDeepError(Exception):
    """The nodes go deeper than any spec, or for ever."""


def _broken(line: int, what: str, fix: str, where: str) -> SpecError:
    return SpecError([Problem(line, "YAML", what, fix)], where)


def _size(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """Return how many values a node unfolds to, anchors counted each time they are used."""
    if depth > _MOST_DEPTH:
        raise _TooDeepError
    if id(node) not in known:
        if isinstance(node, yaml.MappingNode):
            below = [part for pair in node.value for part in pair]
        else:
            below = node.value if isinstance(node, yaml.SequenceNode) else []
        known[id(node)] = 1 + sum(_size(part, known, depth + 1) for part in below)
    return known[id(node)]


def _find_lines(node: yaml.Node, key: Key, lines: dict[Key, int], problems: list[Problem]) -> None:
    lines.setdefault(key, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            below = (*key, str(name.value))
            if below in lines:
                dotted = ".".join(map(str, below))
                problem = f"stands here and in line {lines[below]}."
                problems.append(Problem(name.start_mark.line + 1, dotted, problem, "Keep one."))
                for known in [known for known in lines if known[: len(below)] == below]:
                    del lines[known]  # The later one counts, as in YAML.
            lines[below] = name.start_mark.line + 1
            _find_lines(value, below, lines, problems)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _find_lines(value, (*key, index), lines, problems)
