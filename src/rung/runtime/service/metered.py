"""Ask a model that charges: each row once, within the budget, every answer kept."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rung.core.model import Remote
from rung.core.types import Columns, Prediction
from rung.runtime.service.ledger import Ledger, Spending
from rung.runtime.service.response_cache import CachedAnswer, ResponseCache, model_key, row_key

# Rows that are asked one by one, for their latency; then so many at a time, of which a crash can lose no more.
_SINGLES, _TOGETHER = 40, 16


class Answers(Protocol):
    """A model as far as it is asked here."""

    def predict(self, inputs: Columns) -> list[Prediction]: ...


@dataclass(frozen=True)
class Metering:
    """Where the answers of a rung are kept and its charges counted. Travels to other processes.

    planned_usd: what an answer is expected to cost before one was given. is_metered: True where it is known that the
    model asks a service or charges; otherwise its first answer tells.
    """

    cache: Path
    ledger: Path
    limit_usd: float
    rung: str
    planned_usd: float = 0.0
    is_metered: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**asdict(self), "cache": str(self.cache), "ledger": str(self.ledger)}

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Metering:
        """Return what `as_dict` gave."""
        return Metering(**{**raw, "cache": Path(raw["cache"]), "ledger": Path(raw["ledger"])})

    def applies_to(self, model: Answers, folder: Path, row: Columns) -> bool:
        """Return whether a model asks a service or charges for its answers.

        row: one row, which is asked unless the model is known to be such; a charged answer to it is kept.
        """
        if self.is_metered or isinstance(model, Remote) or self.answered():
            return True
        if not len(next(iter(row.values()), ())):
            return False
        begun, cpu = time.perf_counter(), time.process_time()
        (answer,) = model.predict(row)
        if not answer.cost:
            return False
        cached = CachedAnswer(answer, time.perf_counter() - begun, time.process_time() - cpu)
        MeteredModel(model, folder, replace(self, is_metered=True)).keep(row, [cached])
        return True

    def expected_usd(self) -> float:
        """Return what an answer is expected to cost: as the dearest so far, or as planned."""
        dearest = self._cache().dearest
        return self.planned_usd if dearest is None else dearest

    def answered(self) -> int:
        """Return how many answers are kept."""
        return len(self._cache().all())

    def spending(self) -> Spending:
        """Return what the rung has spent so far."""
        return self._ledger().own()

    def require(self, usd: float) -> None:
        """Raise BudgetSpentError when that much more would exceed the budget."""
        self._ledger().require(usd)

    def _ledger(self) -> Ledger:
        return Ledger(self.ledger, self.limit_usd, self.rung)

    def _cache(self) -> ResponseCache:
        return ResponseCache(self.cache)

    def timings(self) -> dict[str, Any]:
        """Return latency, CPU time and throughput of the calls that were made: nothing is asked again to be timed."""
        found = self._cache().all()
        single = [cached.seconds for cached in found if cached.together == 1] or [0.0]
        seconds = math.fsum(cached.seconds for cached in found)
        p50, p95 = np.percentile(single, [50, 95]) * 1000
        cpu = math.fsum(cached.cpu_seconds for cached in found) / max(len(found), 1) * 1000
        return {
            "latency_ms": {"p50": round(float(p50), 3), "p95": round(float(p95), 3)},
            "cpu_seconds_per_1k": round(cpu, 5),
            "measured_on_rows": len(single),
            "throughput_per_s": round(len(found) / max(seconds, 1e-9), 1),
        }


class MeteredModel:
    """A model whose answers come from the cache where they can, and are paid for once where they cannot.

    folder: the one the model was loaded from or saved into. Raises BudgetSpentError before a call that could exceed the budget.
    """

    def __init__(self, model: Answers, folder: Path, metering: Metering) -> None:
        self._model, self._metering = model, metering
        self._key = model_key(folder)
        self._cache = ResponseCache(metering.cache)
        self._ledger = Ledger(metering.ledger, metering.limit_usd, metering.rung)

    def predict(self, inputs: Columns) -> list[Prediction]:
        """Return one prediction a row, in order."""
        keys = self._keys(inputs)
        missing = {key: place for place, key in enumerate(keys) if self._cache.get(key) is None}
        places = sorted(missing.values())
        while places:
            expected = self._expected()
            self._ledger.require(expected)
            count = self._count(expected)
            self._ask(_take(inputs, places[:count]))
            places = places[count:]
        return [self._answer(key) for key in keys]

    def keep(self, inputs: Columns, answers: Sequence[CachedAnswer]) -> None:
        """Write down answers that were just given to these rows, and what they charged."""
        self._ledger.add(math.fsum(cached.answer.cost for cached in answers), len(answers))
        self._cache.add(zip(self._keys(inputs), answers, strict=True))

    def _ask(self, inputs: Columns) -> None:
        begun, cpu = time.perf_counter(), time.process_time()
        answers = self._model.predict(inputs)
        count = max(len(answers), 1)
        each, cpu_each = (time.perf_counter() - begun) / count, (time.process_time() - cpu) / count
        self.keep(inputs, [CachedAnswer(answer, each, cpu_each, count) for answer in answers])

    def _answer(self, key: str) -> Prediction:
        cached = self._cache.get(key)
        if cached is None:
            raise KeyError(f"the service gave no answer to {key}")
        return cached.answer

    def _expected(self) -> float:
        """Return the most that the next answer is expected to cost: as the dearest so far, or as planned."""
        dearest = self._cache.dearest
        return self._metering.planned_usd if dearest is None else dearest

    def _count(self, expected: float) -> int:
        """Return how many rows to ask together."""
        if self._cache.singles < _SINGLES:
            return 1
        left = self._metering.limit_usd - self._ledger.total().usd
        return max(min(_TOGETHER, int((left + 1e-9) / expected) if expected else _TOGETHER), 1)

    def _keys(self, inputs: Columns) -> list[str]:
        rows = zip(*inputs.values(), strict=True)
        return [row_key(self._key, dict(zip(inputs, cells, strict=True))) for cells in rows]


def _take(inputs: Columns, places: Sequence[int]) -> dict[str, list[Any]]:
    return {name: [column[place] for place in places] for name, column in inputs.items()}
