"""What a user may like next: a history of events goes in, a ranked list of items comes out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from rung.core.errors import DataError, RungError, did_you_mean
from rung.core.kind import kind
from rung.core.metrics.base import MeanMetric, Metric
from rung.core.scalars import is_missing, scalar_text
from rung.core.spec.recommend import MAX_K, RecommendSpec
from rung.core.task import ColumnProfile, ColumnRoles, Exploration, Guess, Task
from rung.core.types import Examples, Field, Prediction, Row, Schema
from rung.modalities.recommendation.event_columns import guess_columns
from rung.modalities.recommendation.event_table import HISTORY, LATER, EventTable
from rung.modalities.recommendation.events import events_of, items_of
from rung.modalities.recommendation.exploration import explored_list
from rung.modalities.recommendation.list_metrics import (
    OF_LIST,
    AtLength,
    CatalogueCoverage,
    ExposureGini,
    Lift,
    ListMetric,
    Novelty,
    Variety,
)
from rung.modalities.recommendation.quality import by_length, by_user_group, effect_of_rules
from rung.modalities.recommendation.recommender import DEFAULT_K
from rung.modalities.recommendation.time_cut import time_cut
from rung.modalities.tables.moments import parse_time

_INPUTS: Mapping[str, str] = {HISTORY: "history", "k": "count", "exclude": "item_list", "context": "wishes"}
_PLAIN: Mapping[str, type[MeanMetric]] = {"novelty": Novelty, "variety": Variety}
_FEWEST_USERS, _FEWEST_ITEMS = 20, 2
# Scores of packed and fitted models differ by rounding at most.
_TOLERANCE = 1e-4


class Recommendation(Task):
    """A history goes in, the items that come next come out, each with the events behind it."""

    name = "recommendation"
    title = "Recommendation: what a user may like next, from what they did"
    floor = "popularity"
    default_metric = f"ndcg@{DEFAULT_K}"
    default_target = LATER
    repeats_are_copies = False
    repeats_within_unit = True
    takes_events = True
    takes_exploration = True
    observes_truth = True
    unit: ClassVar[Literal["row", "group", "user", "document", "series"]] = "user"

    def schema(self, inputs: Sequence[str], targets: Sequence[Any]) -> Schema:
        fields = tuple(Field(name, _INPUTS.get(name, "history"), "input") for name in inputs)
        return Schema(fields, (Field("items", "recommendations", "output"),))

    def default_inputs(self, columns: Sequence[str]) -> tuple[str, ...]:
        return tuple(_INPUTS)

    def source_columns(self, columns: ColumnRoles) -> tuple[str, ...]:
        """Return the columns of events."""
        return _events(columns).columns

    def reshape(self, rows: Iterator[Row], columns: ColumnRoles) -> Iterator[Row]:
        """Return a row for each moment of a user: the history until then, and what came later."""
        spec = _events(columns)
        table = EventTable(spec, parse_time, time.time(), columns.users)
        for row in rows:
            if row.values is not None and HISTORY in row.values and LATER in row.values:
                yield row  # feedback and audit come as moments
                continue
            refused = table.add(row)
            if refused is not None:
                yield refused
        yield from table.rows(columns.group or spec.user, columns.notes)

    def unit_key(self, row: Mapping[str, Any], columns: ColumnRoles) -> str:
        """Return the user of a row; "" for a served one, which names none."""
        user = row.get(columns.group or _events(columns).user)
        return "" if user is None or is_missing(user) else scalar_text(user)

    def time_cut(self, rows: Examples) -> tuple[Examples, Examples, str] | None:
        """Return what came before and after a moment, over all users that train."""
        return time_cut(rows)

    def metric(self, name: str, schema: Schema) -> Metric:
        base, _, after = name.partition(":")
        found = _metric(base)
        if found is not None and not after:
            return found
        length = after.removeprefix("after=")
        if isinstance(found, MeanMetric) and after.startswith("after=") and length.isdigit():
            return AtLength(name, found, int(length))
        known = [metric.name for metric in self.metrics(schema)]
        fix = did_you_mean(name, [*known, f"{self.default_metric}:after=5"])
        raise RungError(f"recommendation has no metric '{name}'", "bar.metric", fix)

    def metrics(self, schema: Schema) -> list[Metric]:
        lists: list[Metric] = [
            ListMetric(f"{name}@{DEFAULT_K}", of, DEFAULT_K) for name, of in OF_LIST.items()
        ]
        return [*lists[:1], Lift(f"lift@{DEFAULT_K}", DEFAULT_K), *lists[1:], CatalogueCoverage("catalogue_coverage"),
                ExposureGini("exposure_gini"), Novelty(), Variety()]  # fmt: skip

    def refuse_input(self, inputs: Mapping[str, Any]) -> str:
        return ""  # A newcomer's empty history is answered.

    def parse_target(self, raw: Any) -> Any:
        try:
            found = events_of(json.loads(raw) if isinstance(raw, str) and raw[:1] == "[" else raw)
        except ValueError:
            return None
        return [list(event) for event in found] or None

    def check(self, targets: Mapping[Any, int], where: str) -> None:
        items = {item for target in targets for item in items_of(_parsed(target))}
        if len(items) < _FEWEST_ITEMS:
            raise DataError(
                f"users did something with {len(items)} item{'' if len(items) == 1 else 's'}: there is nothing to rank",
                where,
                "Check `recommend.item`: is it the column of the item's id?",
            )
        if sum(targets.values()) < _FEWEST_USERS:
            raise DataError(
                f"{sum(targets.values())} histories with later events are too few to learn from",
                where,
                "Collect events of at least 50 users with two items each; some hundreds is where results become useful.",
            )

    def same(self, one: Prediction, other: Prediction) -> bool:
        """Return whether two lists agree: items may change places where their scores are equal but for rounding."""
        a, b = (list(zip(items_of(p.value), p.extra["scores"], strict=True)) for p in (one, other))
        if len(a) != len(b):
            return False
        return all(
            abs(mine - theirs) <= _TOLERANCE * max(1.0, abs(mine)) for (_, mine), (_, theirs) in zip(a, b, strict=True)
        ) and all(x == y or any(abs(s - t) <= 2 * _TOLERANCE * max(1.0, abs(s)) for o, t in b if o != x) for (x, s), (y, _) in zip(a, b, strict=True))  # fmt: skip

    def candidates_row(self, row: Mapping[str, Any], rule: Exploration) -> dict[str, Any]:
        return {**row, "k": min(max(row.get("k") or DEFAULT_K, rule.among), MAX_K)}

    def explored(
        self, answer: Prediction, row: Mapping[str, Any], rule: Exploration, number: str
    ) -> Prediction:
        return explored_list(answer, row.get("k") or DEFAULT_K, rule, number)

    def response(self, prediction: Prediction, schema: Schema, scores: bool) -> dict[str, Any]:
        extra = prediction.extra
        items = [
            {"item": item, **shown, "score": score} | ({"because": because} if because else {})
            for item, shown, score, because in zip(
                items_of(prediction.value), extra["shown"], extra["scores"], extra["because"], strict=True
            )
        ]
        for item, propensity in zip(items, extra.get("propensities", ()), strict=False):
            item["propensity"] = propensity
        found = {"items": items, "unknown": list(extra["unknown"]), "portrait": dict(extra["portrait"])}
        return found | ({"exploration": extra["exploration"]} if "exploration" in extra else {})

    def columns(self, schema: Schema, scores: bool) -> list[Field]:
        return [*schema.outputs, Field("unknown", "list", "output"), Field("portrait", "json", "output")]

    def details(self, truths: Sequence[Any], answers: Sequence[Prediction], schema: Schema) -> dict[str, Any]:
        """Return quality by history length and by how much users did, and what rules after the ranking cost."""
        found = {"by_length": by_length(truths, answers), "by_user_group": by_user_group(truths, answers)}
        rules = effect_of_rules(truths, answers)
        return {"recommendation": found | ({"rules": rules} if rules else {})}

    def floor_score(self, counts: Mapping[str, int]) -> tuple[str, float]:
        """Return lift: the difference to what is popular, which is 0 for what is popular itself."""
        return f"lift@{DEFAULT_K}", 0.0

    def guess(self, columns: Sequence[ColumnProfile], rows: int) -> Guess | None:
        return guess_columns(self.name, columns, rows, tuple(_INPUTS), LATER)

    def tiny(self) -> list[dict[str, Any]]:
        """Return users of two tastes: sea and land, each with its own items and some that all like."""
        tastes = {
            "sea": ["whale", "boat", "reef", "tide", "gull"],
            "land": ["fox", "barn", "moss", "hill", "crow"],
        }
        found = []
        for number in range(24):
            own = tastes["sea" if number % 2 else "land"]
            turn = [*own[number % 5 :], *own[: number % 5]]
            history = [[item, float(place), 1.0] for place, item in enumerate([turn[0], "sun", turn[1]])]
            found.append({HISTORY: history, "target": (turn[2], turn[3], "rain")})
        return found


def _events(columns: ColumnRoles) -> RecommendSpec:
    return columns.events or RecommendSpec()


def _metric(name: str) -> Metric | None:
    """Return a metric of lists, or of the catalogue; None where there is none, or it looks further than lists reach."""
    kind_of, at, size = name.partition("@")
    if at and size.isdigit() and 1 <= int(size) <= DEFAULT_K:
        if kind_of == "lift":
            return Lift(name, int(size))
        return ListMetric(name, OF_LIST[kind_of], int(size)) if kind_of in OF_LIST else None
    if name in _PLAIN:
        return _PLAIN[name]()  # type: ignore[call-arg]
    catalogue = {"catalogue_coverage": CatalogueCoverage, "exposure_gini": ExposureGini}
    return catalogue[name](name) if name in catalogue else None


def _parsed(target: Any) -> Any:
    return kind("recommendations").from_cell(target, None) if isinstance(target, str) else target  # type: ignore[arg-type]
