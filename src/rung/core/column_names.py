"""Names of columns, which Unicode may write in two forms, and cells that are codes."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from unicodedata import normalize

from rung.core.errors import InputError, did_you_mean

# Missing inputs are named up to so many.
_MOST_NAMED = 20
# One word: an address of mail, or letters and digits such as T-10023 and +49-171-555.
_CODE = re.compile(r"[\w.+-]*\d[\w.+-]*|[^\s@]+@[^\s@]+", re.ASCII)


def column_of(columns: Collection[str], name: str) -> str | None:
    """Return the column that is called `name`, in the same or in another form of Unicode; None when there is none."""
    if name in columns:
        return name
    wanted = normalize("NFC", name)
    if wanted.isascii():
        return None
    return next((own for own in columns if isinstance(own, str) and normalize("NFC", own) == wanted), None)


def missing_error(names: Sequence[str], where: str) -> InputError:
    """Return the error of a row that lacks these inputs."""
    fix = "Send null for what is not known."
    if len(names) == 1:
        return InputError(f"the input '{names[0]}' is missing", where, fix)
    shown = ", ".join(f"'{each}'" for each in names[:_MOST_NAMED])
    more = ", ..." if len(names) > _MOST_NAMED else ""
    return InputError(f"the inputs {shown}{more} are missing", where, fix)


def wanted_column(columns: Collection[str], name: str, where: str, needed: Collection[str]) -> str | None:
    """Return the column that is called `name`, in either form of Unicode; None when there is none and none is needed.

    needed: all columns that are. Raises InputError, which names every missing one.
    """
    own = column_of(columns, name)
    if own is not None or name not in needed:
        return own
    missing = [each for each in needed if column_of(columns, each) is None]
    if len(missing) > 1:
        raise missing_error(missing, where)
    fix = did_you_mean(name, map(str, columns)) if columns else ""
    raise InputError(f"the input '{name}' is missing", where, fix)


def are_codes(cells: Sequence[str]) -> bool:
    """Return whether cells are addresses of mail, numbers of orders and the like, which are no texts."""
    return bool(cells) and all(_CODE.fullmatch(cell) for cell in cells)
