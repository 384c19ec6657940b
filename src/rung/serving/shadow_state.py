"""`shadows.json` of a service folder: which challenger answers beside which champion, and under what terms."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rung.core.errors import RungError
from rung.core.files import read_json, write_json

NAME = "shadows.json"


@dataclass(frozen=True)
class Shadow:
    """A challenger in shadow. champion: version it stands beside. why: what it had passed before.

    rows, agreement, waiting: the terms, as the spec had them when it began: see `core.improve_spec.ShadowSpec`.
    """

    bundle: str
    version: str
    champion: str
    since: float
    who: str
    why: str
    rows: int
    agreement: float
    waiting: int


def read_shadows(folder: Path) -> dict[str, Shadow]:
    """Return product -> its challenger in shadow. Raises RungError for a file that cannot be read."""
    path = folder / NAME
    if not path.is_file():
        return {}
    try:
        said: dict[str, Any] = read_json(path)
        return {name: Shadow(**values) for name, values in said.items()}
    except (ValueError, TypeError, AttributeError) as error:
        fix = "Delete it: `rung improve` builds a challenger again."
        raise RungError(f"it cannot be read: {type(error).__name__}", str(path), fix) from None


def write_shadow(folder: Path, name: str, shadow: Shadow) -> None:
    """Let a challenger stand in shadow: servers that run follow within a second."""
    said = {key: asdict(one) for key, one in read_shadows(folder).items()}
    write_json(folder / NAME, {**said, name: asdict(shadow)})


def clear_shadow(folder: Path, name: str) -> None:
    """Let no challenger of a product stand in shadow any more."""
    said = read_shadows(folder)
    if said.pop(name, None) is not None:
        write_json(folder / NAME, {key: asdict(one) for key, one in said.items()})
