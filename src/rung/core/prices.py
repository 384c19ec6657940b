"""What a second of a core costs in money and energy, from an editable file with its date and source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rung.core.errors import RungError
from rung.core.messages import LANGUAGES, day, say

# A core that serves is seldom busier than this over a day: requests come in waves.
BUSY_SHARE = 0.3
# Words in one language, or by language: see `core.messages.words_in`.
Words = str | Mapping[str, str]
_OURS = Path(__file__).with_name("prices.yaml")


@dataclass(frozen=True)
class LlmPrices:
    """List prices of large language models. models: name -> US dollars per million tokens (in, out).

    prompt_tokens and answer_tokens: what a request adds to its text.
    """

    date: str
    source: Words
    prompt_tokens: int
    answer_tokens: int
    models: Mapping[str, tuple[float, float]]

    def usd_per_1k(self, name: str, input_tokens: float) -> float:
        """Return the price of 1,000 requests of so many tokens of text each."""
        usd_in, usd_out = self.models[name]
        return ((input_tokens + self.prompt_tokens) * usd_in + self.answer_tokens * usd_out) / 1000.0


@dataclass(frozen=True)
class Prices:
    """usd_per_cpu_hour: a core for an hour. watts_per_core: a busy core. notes: date and source of each.

    g_co2_per_kwh: what the grid emits.

    usd_per_label: a row answered by a person; llm: None where the file names no models. usd_per_gpu_hour: a whole GPU.
    """

    usd_per_cpu_hour: float
    watts_per_core: float
    notes: dict[str, Words]
    usd_per_label: float | None = None
    llm: LlmPrices | None = None
    usd_per_gpu_hour: float = 0.0
    g_co2_per_kwh: float = 0.0

    def usd(self, cpu_seconds: float, gpu_seconds: float = 0.0) -> float:
        """Return the price of that much work of one core and one GPU, in US dollars."""
        return (cpu_seconds * self.usd_per_cpu_hour + gpu_seconds * self.usd_per_gpu_hour) / 3600.0

    def wh(self, cpu_seconds: float) -> float:
        """Return the energy of that much work of one core, in watt-hours."""
        return cpu_seconds / 3600.0 * self.watts_per_core

    def g_co2(self, cpu_seconds: float) -> float:
        """Return the carbon dioxide of that much work of one core, in grams."""
        return self.wh(cpu_seconds) / 1000.0 * self.g_co2_per_kwh


def tokens(texts: Sequence[str]) -> float:
    """Return the tokens of a text on average, by rule of thumb: 4 characters, or 1.5 ideographs, a token."""
    ideographs = sum("\u3040" <= char <= "\u9fff" for text in texts for char in text)
    others = sum(map(len, texts)) - ideographs
    return (ideographs / 1.5 + others / 4) / max(len(texts), 1)


def load_prices(path: Path | None = None) -> Prices:
    """Return the prices of a file, ours by default; raises RungError naming the key that is wrong.

    A file without a GPU or a grid, as those for earlier versions are, gets our numbers of them.
    """
    path = path or _OURS
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        machine, energy, label = raw["machine"], raw["energy"], raw.get("label")
        ours = yaml.safe_load(_OURS.read_text(encoding="utf-8"))
        gpu, grid = (raw.get(key) or ours[key] for key in ("gpu", "grid"))
        usd, watts = float(machine["usd_per_cpu_hour"]), float(energy["watts_per_core"])
        notes = {
            "machine": _note("machine", usd, machine),
            "energy": _note("energy", watts, energy),
        }
        usd_gpu = float(gpu["usd_per_gpu_hour"])
        notes["gpu"] = _note("gpu", usd_gpu, gpu)
        grams = float(grid["g_co2_per_kwh"])
        notes["grid"] = _note("grid", grams, grid)
        by_hand = float(label["usd_per_row"]) if label else None
        if label:
            notes["label"] = _note("label", by_hand, label)
        llm = _llm(raw["llm"]) if raw.get("llm") else None
        if llm:
            notes["llm"] = _note("llm", None, raw["llm"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        fix = "Copy rung's own core/prices.yaml and change its numbers; keep every key, date and source."
        raise RungError(f"not a usable price file: {type(error).__name__} {error}", path.name, fix) from None
    tokens = [usd for pair in llm.models.values() for usd in pair] if llm else []
    numbers = [usd, watts, usd_gpu, grams, *([] if by_hand is None else [by_hand]), *tokens]
    if not all(0 <= number < 1e6 for number in numbers):
        shown = ", ".join(f"{number:g}" for number in numbers)
        raise RungError(f"prices must lie in [0, 1000000): {shown}", path.name, "Mend the numbers.")
    return Prices(usd, watts, notes, by_hand, llm, usd_gpu, grams)


def _note(kind: str, amount: float | None, raw: Mapping[str, Any]) -> Words:
    """Return where a price comes from, in each language."""
    day_of = str(raw["date"])
    return {
        lang: say(f"prices.{kind}", lang, amount=str(amount), date=day(day_of, lang), source=raw["source"])
        for lang in LANGUAGES
    }


def _llm(raw: Any) -> LlmPrices:
    models = {str(m["name"]): (float(m["usd_in"]), float(m["usd_out"])) for m in raw["models"]}
    return LlmPrices(
        str(raw["date"]), raw["source"], int(raw["prompt_tokens"]), int(raw["answer_tokens"]), models
    )
