"""What a plan tells a person before anything is spent: kind of product, readiness of the data, a bar, duties.

Everything is facts and keys of messages, ready for JSON; the pages and the terminal put them into words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rung.core.errors import RungError, did_you_mean
from rung.core.model import Ladder
from rung.core.prices import Prices
from rung.core.priors import expected, prior_source
from rung.core.regulation import detect, detect_cells, kinds
from rung.core.stats.confidence_bounds import rows_needed
from rung.core.types import is_number
from rung.core.unavailable import reason_dict

DRIVERS = ("technology", "data", "application")
# A metric that is itself a difference to the baseline: any level above 0 beats it.
_DIFFERENCE = "lift@"
_DEFAULT_LEVEL = {"accuracy": 0.9, "lift@10": 0.01}
_OTHER_LEVEL = 0.8
_CONFIDENCE = 0.95


class Seen(Protocol):
    """What a survey of the data found; see `rung.data.profile.summary.Survey`."""

    @property
    def rows(self) -> int: ...
    @property
    def unreadable(self) -> int: ...
    @property
    def empty(self) -> int: ...
    @property
    def unlabelled(self) -> int: ...
    @property
    def duplicates(self) -> int: ...
    @property
    def contradictory(self) -> int: ...
    @property
    def usable(self) -> int: ...
    @property
    def labels(self) -> Mapping[str, int]: ...
    @property
    def chars(self) -> tuple[int, int]: ...
    @property
    def encoding(self) -> str: ...
    @property
    def mixed(self) -> bool: ...
    @property
    def undecodable(self) -> int: ...
    @property
    def agreement(self) -> Any: ...
    @property
    def sample(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Wishes:
    """What a person says beside the data. cost_of_error: US dollars a wrong answer; touches, driver: given, not guessed."""

    cost_of_error: float | None = None
    touches: tuple[str, ...] = ()
    driver: str | None = None

    def __post_init__(self) -> None:
        for kind in self.touches:
            if kind not in kinds():
                raise RungError(
                    f"'{kind}' is nothing a product can touch here", "--touches", did_you_mean(kind, kinds())
                )
        if self.driver is not None and self.driver not in DRIVERS:
            raise RungError(
                f"'{self.driver}' drives no product", "--driver", did_you_mean(self.driver, DRIVERS)
            )
        if self.cost_of_error is not None and not 0 < self.cost_of_error < 1e9:
            raise RungError(
                f"an error cannot cost {self.cost_of_error:g} USD",
                "--cost-of-error",
                "Give a positive number of US dollars.",
            )


def brief(
    task: str,
    floor: tuple[str, float],
    seen: Seen,
    columns: Mapping[str, Sequence[str]],
    ladder: Ladder,
    prices: Prices,
    wishes: Wishes,
) -> dict[str, Any]:
    """Return the facts of a plan. floor: metric and score of answering without reading.

    columns: some cells of each, of those that are no input too.
    """
    metric, score = floor
    level, why = propose_bar(metric, score, seen.agreement, prices, wishes)
    rows_per_label = seen.usable / max(len(seen.labels), 1)
    rungs = [
        {
            "rung": r.name, "model": r.model, "usd_per_1k": r.usd_per_1k, "fit_seconds": r.planned.fit_seconds,
            "memory_mb": r.planned.memory_mb, "size_mb": r.planned.size_mb,
            "expected": expected(task, (r.name, r.model), rows_per_label, score),
        }
        for r in ladder.rungs
    ]  # fmt: skip
    certifying = round(seen.usable * min(max(400 / max(seen.usable, 1), 0.1), 0.3))
    return {
        "driver": _driver(rungs, seen, level, wishes),
        "readiness": readiness(seen, certifying, level),
        "classes": dict(seen.labels),
        "ladder": rungs,
        "left_out": [{"rung": name, **reason_dict(error)} for name, error in ladder.left_out.items()],
        "prior": prior_source(task),
        "bar": {
            "metric": metric,
            "at_least": level,
            "floor": round(score, 4),
            "confidence": _CONFIDENCE,
            "why": why,
        },
        "certificate": {"rows": certifying, "needed": _needed(level)},
        "duties": _duties(seen, columns, wishes),
        "prices": dict(prices.notes),
    }


def propose_bar(
    metric: str, floor: float, agreement: Any, prices: Prices, wishes: Wishes
) -> tuple[float, list[dict[str, Any]]]:
    """Return a level for the bar, and why: what an error costs, above the floor, not above what people agree on."""
    why = [_item("floor", metric=metric, floor=f"{floor:.2f}")]
    level = _DEFAULT_LEVEL.get(metric, _OTHER_LEVEL)
    cost, by_hand = wishes.cost_of_error, prices.usd_per_label
    if cost is not None and by_hand is not None:
        # Errors may cost as much as the work they save: share of errors times cost = a row by hand.
        level = max(1.0 - by_hand / cost, 0.0)
        why.append(_item("cost", cost=f"{cost:g}", hand=f"{by_hand:g}", level=f"{level:.3f}"))
    else:
        why.append(_item("no_cost", level=f"{level:g}"))
    lowest = floor if metric.startswith(_DIFFERENCE) else floor + 0.2 * (1.0 - floor)
    if level < lowest:
        why.append(_item("raised", level=f"{lowest:.2f}"))
    level = max(level, lowest)
    if agreement is None:
        why.append(_item("no_agreement"))
    else:
        agreed = {
            "share": f"{agreement.share:.2f}",
            "kappa": f"{agreement.kappa:.2f}",
            "column": agreement.column,
        }
        why.append(_item("agreement", **agreed, n=agreement.rows))
        level = min(level, agreement.share)
    return max(math.floor(min(level, 0.99) * 100 + 1e-9) / 100, 0.01), why


def _needed(level: float) -> list[dict[str, Any]]:
    """Return how many certification rows prove the bar, by how much better than it the model truly is."""
    found = []
    for margin in (0.01, 0.02, 0.03, 0.05):
        if level + margin <= 1.0:
            needed = rows_needed(level + margin, level, (1.0 - _CONFIDENCE) / 2.0)
            found.append({"quality": round(level + margin, 4), "rows": needed})
    return found


def _driver(rungs: Sequence[Mapping[str, Any]], seen: Seen, level: float, wishes: Wishes) -> dict[str, Any]:
    """Return what drives the product: the technology, the data or the application, and why it seems so."""
    if wishes.driver:
        return {"driver": wishes.driver, "why": "given"}
    reach = [r["expected"][1] for r in rungs if r["expected"]]
    if reach and max(reach) < level:
        return {"driver": "technology", "why": "beyond"}
    return (
        {"driver": "data", "why": "rows"} if seen.usable >= 1_000 else {"driver": "application", "why": "few"}
    )


def readiness(seen: Seen, certifying: int, level: float) -> list[dict[str, Any]]:
    """Return lights (go, slow, stop) with the key of a message and its values."""
    labels = sorted(seen.labels.items(), key=lambda item: item[1])
    fewest, most = (labels[0], labels[-1]) if labels else (("", 0), ("", 0))
    rows = max(seen.rows, 1)
    missing = seen.unreadable + seen.empty + seen.unlabelled
    lopsided = most[1] / max(fewest[1], 1)
    needed = rows_needed(min(level + 0.03, 1.0), level, (1.0 - _CONFIDENCE) / 2.0) or 0
    short, long = seen.chars
    lights = [
        _light(fewest[1] >= 50, fewest[1] >= 10, "rows_per_class", fewest=fewest[1], label=fewest[0], n=len(labels)),
        _light(seen.duplicates <= 0.02 * rows, seen.duplicates <= 0.2 * rows, "duplicates", n=seen.duplicates),
        _light(not seen.contradictory, seen.contradictory <= 0.05 * rows, "contradictory", n=seen.contradictory),
        _light(missing <= 0.01 * rows, missing <= 0.1 * rows, "missing", n=missing, empty=seen.empty,
               unlabelled=seen.unlabelled, unreadable=seen.unreadable),
        _light(short >= 12 and long <= 8_000, short >= 3, "length", median=short, long=long),
        _light(lopsided <= 10, lopsided <= 100, "balance", most=most[1], common=most[0], fewest=fewest[1], rare=fewest[0]),
        _light(certifying >= needed, certifying >= 59, "certify", n=certifying, needed=needed),
    ]  # fmt: skip
    encoding = _encoding_light(seen)
    lights[-1:-1] = [encoding] if encoding else []
    # A target of hundreds of different values that hardly repeat is a quantity: it has no classes to balance.
    numbers = sum(is_number(label) for label, _ in labels)
    quantity = len(labels) > max(50, seen.usable // 10) and numbers >= 0.9 * len(labels)
    return [light for light in lights if not (quantity and light["key"] in {"rows_per_class", "balance"})]


def _encoding_light(seen: Seen) -> dict[str, Any] | None:
    """Return the light of the encoding; None where the format settles it."""
    lost = seen.undecodable
    if lost:
        return _light(
            False, lost <= 0.05 * max(seen.rows, 1), "encoding_lost", encoding=seen.encoding, n=lost
        )
    if not seen.encoding:
        return None
    return _light(not seen.mixed, True, "encoding", encoding=seen.encoding)


def of_cases(lights: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the lights of a table whose rows are cases that may well be alike, not texts that repeat."""
    named = {"duplicates": "alike", "missing": "missing_cells"}
    found = [dict(light) for light in lights if light["key"] not in {"contradictory", "length"}]
    for light in found:
        light["key"] = named.get(light["key"], light["key"])
        if light["key"] == "alike":
            light["light"] = "go"
    return found


def of_media(lights: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the lights of rows that name files of media: content repeats, not words, and has no length in characters."""
    named = {"duplicates": "same_files", "contradictory": "contradictory_files", "missing": "missing_files"}
    found = [dict(light) for light in lights if light["key"] not in {"length", "encoding", "encoding_lost"}]
    return [light | {"key": named.get(light["key"], light["key"])} for light in found]


def _light(good: bool, bearable: bool, key: str, **values: Any) -> dict[str, Any]:
    return {"light": "go" if good else "slow" if bearable else "stop", "key": key, "values": values}


def _duties(seen: Seen, columns: Mapping[str, Sequence[str]], wishes: Wishes) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {kind: {"given": True} for kind in wishes.touches}
    for kind, signs in detect([*columns, *seen.labels], seen.sample).items():
        found.setdefault(kind, signs)
    for name, cells in columns.items():
        for kind in detect_cells(cells):
            found.setdefault(kind, {"column": name})
    return [{"kind": kind, **found[kind]} for kind in kinds() if kind in found]


def _item(key: str, **values: Any) -> dict[str, Any]:
    return {"key": key, "values": values}
