"""State of drift monitoring between two runs: `drift-<model>-<version>.json` in the service folder.

The evidence must not be recomputed: inputs expire from the journal, and new random numbers for breaking ties
would be a second test of the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rung.core.errors import UPDATE, RungError
from rung.core.files import locked, read_json, write_json
from rung.monitoring.drift_monitor import MonitoringPeriod

FORMAT = 1


@dataclass
class DriftState:
    """The current period, and one line of facts for each ended one: number, rows, alarms, who ended it, when."""

    period: MonitoringPeriod
    ended: list[dict[str, Any]] = field(default_factory=list)


def state_path(folder: Path, model: str, version: str) -> Path:
    """Return the path of the state of a model's version."""
    return folder / f"drift-{model}-{version[:16]}.json"


def read_state(path: Path) -> DriftState | None:
    """Return the state, None if there is none yet. Raises RungError when it cannot be read."""
    if not path.is_file():
        return None
    try:
        raw = read_json(path)
        if raw["format"] > FORMAT:
            raise RungError(
                f"it has format {raw['format']}, this rung reads up to {FORMAT}", path.name, UPDATE
            )  # fmt: skip
        return DriftState(MonitoringPeriod.from_dict(raw["period"]), list(raw["ended"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fix = (
            "Restore a backup, or move the file away: a new period begins with the oldest row of the journal."
        )
        raise RungError(f"it cannot be read: {type(error).__name__} {error}", path.name, fix) from None


def write_state(path: Path, state: DriftState) -> None:
    """Write the state atomically."""
    write_json(path, {"format": FORMAT, "period": state.period.as_dict(), "ended": state.ended})


@contextmanager
def exclusive_access(folder: Path) -> Iterator[None]:
    """Lock the drift files of a folder; a second process waits."""
    with locked(folder / "drift.lock"):
        yield
