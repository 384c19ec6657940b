"""What a second of a core costs in money and energy, from an editable file with its date and source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rung.core.errors import RungError


@dataclass(frozen=True)
class Prices:
    """usd_per_cpu_hour: a core for an hour. watts_per_core: a busy core. notes: date and source of each."""

    usd_per_cpu_hour: float
    watts_per_core: float
    notes: dict[str, str]

    def usd(self, cpu_seconds: float) -> float:
        """Return the price of that much work of one core, in US dollars."""
        return cpu_seconds / 3600.0 * self.usd_per_cpu_hour

    def wh(self, cpu_seconds: float) -> float:
        """Return the energy of that much work of one core, in watt-hours."""
        return cpu_seconds / 3600.0 * self.watts_per_core


def load_prices(path: Path | None = None) -> Prices:
    """Return the prices of a file, ours by default; raises RungError naming the key that is wrong."""
    path = path or Path(__file__).with_name("prices.yaml")
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        machine, energy = raw["machine"], raw["energy"]
        usd, watts = float(machine["usd_per_cpu_hour"]), float(energy["watts_per_core"])
        notes = {
            "machine": f"{usd} USD a core-hour, {machine['date']}: {machine['source']}",
            "energy": f"{watts} W a busy core, {energy['date']}: {energy['source']}",
        }
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        fix = "Copy rung's own core/prices.yaml and change its numbers; keep every key, date and source."
        raise RungError(f"not a usable price file: {type(error).__name__} {error}", path.name, fix) from None
    if not (0 <= usd < 1e6 and 0 <= watts < 1e6):
        raise RungError(
            f"prices must lie in [0, 1000000): {usd}, {watts}", path.name, "Mend the two numbers."
        )
    return Prices(usd, watts, notes)
