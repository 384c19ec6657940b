"""`shadows.json` of a service folder: the challengers in shadow, their champions and their criteria."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rung.core.errors import RungError
from rung.core.files import read_json, write_json

NAME = "shadows.json"


@dataclass(frozen=True)
class Shadow:
    """A challenger in shadow. champion: version it is compared with. why: the test it passed before.

    rows, agreement, waiting: the criteria of the spec when the run began: see `core.spec.improve.ShadowSpec`.
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
    """Return product name -> its challenger in shadow. Raises RungError for a file that cannot be read."""
    path = folder / NAME
    if not path.is_file():
        return {}
    try:
        saved: dict[str, Any] = read_json(path)
        return {name: Shadow(**values) for name, values in saved.items()}
    except (ValueError, TypeError, AttributeError) as error:
        fix = "Delete it: `rung improve` builds a challenger again."
        raise RungError(f"it cannot be read: {type(error).__name__}", str(path), fix) from None


def write_shadow(folder: Path, name: str, shadow: Shadow) -> None:
    """Record a challenger in shadow; running servers follow within a second."""
    others = {key: asdict(one) for key, one in read_shadows(folder).items()}
    write_json(folder / NAME, {**others, name: asdict(shadow)})


def clear_shadow(folder: Path, name: str) -> None:
    """Remove a product's challenger in shadow."""
    shadows = read_shadows(folder)
    if shadows.pop(name, None) is not None:
        write_json(folder / NAME, {key: asdict(one) for key, one in shadows.items()})
