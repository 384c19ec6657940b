"""What was shown and clicked, counted: by item and by place, so that an item's clicks can be held against where it stood."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Places beyond it count as one.
LAST_POSITION = 100


@dataclass
class Shown:
    """shown, clicked: (item, position) -> times; position 0 where none is named. left_out: rows, by reason.

    propensities: rows that have one. least: the smallest of them.
    """

    shown: Counter[tuple[str, int]] = field(default_factory=Counter)
    clicked: Counter[tuple[str, int]] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    propensities: int = 0
    least: float = 1.0

    def add(self, item: str, position: int, clicked: bool, propensity: float | None) -> None:
        """Count one item that was shown."""
        key = (item, min(position, LAST_POSITION))
        self.shown[key] += 1
        self.clicked[key] += clicked
        if propensity is not None:
            self.propensities += 1
            self.least = min(self.least, propensity)

    def by_position(self) -> dict[int, tuple[int, int]]:
        """Return position -> times shown and clicked, in order."""
        found: dict[int, list[int]] = {}
        for (_, position), n in self.shown.items():
            own = found.setdefault(position, [0, 0])
            own[0] += n
        for (_, position), n in self.clicked.items():
            found[position][1] += n
        return {position: (found[position][0], found[position][1]) for position in sorted(found)}

    def appeal(self, prior: float) -> dict[str, float]:
        """Return item -> clicks over the clicks that its places would bring an average item, drawn towards 1.

        prior: expected clicks with which an item is believed half. Zhang & Jones (2007), "comparing clicks over expected clicks".
        """
        rates = {position: clicked / shown for position, (shown, clicked) in self.by_position().items()}
        expected, came = Counter[str](), Counter[str]()
        for (item, position), n in self.shown.items():
            expected[item] += n * rates[position]  # type: ignore[assignment]
            came[item] += self.clicked[item, position]
        return {item: (came[item] + prior) / (expected[item] + prior) for item in expected}

    def facts(self) -> dict[str, Any]:
        """Return what the facts of prepared data hold, ready for JSON."""
        return {
            "shown": sum(self.shown.values()),
            "clicked": sum(self.clicked.values()),
            "items": len({item for item, _ in self.shown}),
            "propensities": self.propensities,
            "least_propensity": self.least,
            "by_position": [[p, shown, clicked] for p, (shown, clicked) in self.by_position().items()],
            "left_out": dict(self.left_out),
        }

    def save(self, path: Path) -> None:
        """Write the counts."""
        rows = [
            [item, position, n, self.clicked[item, position]] for (item, position), n in self.shown.items()
        ]
        path.write_text(json.dumps({"rows": rows, **self.facts()}, ensure_ascii=False), encoding="utf-8")

    @staticmethod
    def load(path: Path) -> Shown:
        """Return the counts that `save` wrote."""
        raw: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = Shown(
            left_out=Counter(raw["left_out"]), propensities=raw["propensities"], least=raw["least_propensity"]
        )
        for item, position, shown, clicked in raw["rows"]:
            found.shown[item, position], found.clicked[item, position] = shown, clicked
        return found
