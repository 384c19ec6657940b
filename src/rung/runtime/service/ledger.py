"""What services have charged in a build, and the budget that stops it before the next call."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.errors import RungError
from rung.core.files import locked, read_json, write_json


class BudgetSpentError(RungError):
    """The next call to a service could exceed the budget."""


@dataclass(frozen=True)
class Spending:
    """usd: US dollars charged. calls: rows that services answered."""

    usd: float = 0.0
    calls: int = 0


class Ledger:
    """A file of what each rung has spent, shared by the processes of a build; it outlives a killed one.

    limit_usd: of all rungs together. rung: whose calls are counted by this object.
    """

    def __init__(self, path: Path, limit_usd: float, rung: str) -> None:
        self.path, self.limit_usd, self.rung = path, limit_usd, rung

    def require(self, usd: float) -> None:
        """Raise BudgetSpentError when that much more would exceed the budget: ask before the call, not after it."""
        total = self.total()
        # A budget of a whole number of calls is not cut by the last bit of a sum.
        if usd > 0 and total.usd + usd > self.limit_usd + 1e-9:
            raise BudgetSpentError(
                f"the budget of {self.limit_usd:g} USD for services is spent: {total.calls:,} calls took "
                f"{total.usd:.4f} USD, the next ones may take {usd:.4f}",
                "budget.usd",
                "Raise `budget.usd` and build again with --run and this run's folder: answers that were paid for are kept.",
            )

    def add(self, usd: float, calls: int) -> None:
        """Count calls that were made and what they charged."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.path.with_name(self.path.name + ".lock"), 0o644):
            found = _read(self.path)
            own = found.setdefault(self.rung, {"usd": 0.0, "calls": 0})
            own["usd"] = round(own["usd"] + usd, 9)
            own["calls"] += calls
            write_json(self.path, found)

    def total(self) -> Spending:
        """Return what all rungs have spent."""
        found = _read(self.path).values()
        return Spending(sum(each["usd"] for each in found), sum(each["calls"] for each in found))

    def own(self) -> Spending:
        """Return what this rung has spent."""
        return Spending(**_read(self.path).get(self.rung, {}))


def _read(path: Path) -> dict[str, Any]:
    """Return {rung: {usd, calls}}; {} before the first call."""
    try:
        found: dict[str, Any] = read_json(path)
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        fix = "Delete it only if what was spent need not be known."
        raise RungError(f"what was spent cannot be read: {error}", str(path), fix) from None
    return found
