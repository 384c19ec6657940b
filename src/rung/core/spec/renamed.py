"""Keys of earlier versions: still read under their new names, with a notice to the user."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rung.core.spec.yaml import Key

# section -> {old key: new key}
RENAMED_KEYS: Mapping[str, Mapping[str, str]] = {
    "serve": {"together": "max_batch_size", "waiting": "max_in_flight"}
}


class RenamedKeyWarning(FutureWarning):
    """A product.yaml uses a key under its old name. The command line prints it as a notice."""


def with_new_names(section: str, values: Any) -> Any:
    """Return a section's values with old keys renamed; raises ValueError where old and new are both given."""
    if not isinstance(values, Mapping):
        return values
    renamed = RENAMED_KEYS[section]
    for old in renamed.keys() & values.keys():
        if renamed[old] in values:
            raise ValueError(f"'{old}' is the old name of '{renamed[old]}': keep only the new one")
    return {renamed.get(key, key): value for key, value in values.items()}


def warn_of_old_names(raw: Mapping[str, Any], where: str, lines: dict[Key, int]) -> None:
    """Warn of every old key of a spec, and let its line be found under the new name too."""
    for section, renamed in RENAMED_KEYS.items():
        values = raw.get(section)
        for old, new in renamed.items():
            if not isinstance(values, Mapping) or old not in values:
                continue
            line = lines.get((section, old), 0)
            lines.setdefault((section, new), line)
            message = (
                f"{where}, line {line}: `{section}.{old}` is now called `{section}.{new}`. "
                "The old name is still read; please rename it."
            )
            warnings.warn(message, RenamedKeyWarning, stacklevel=2)
