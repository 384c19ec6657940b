"""Base class of recommenders: from a history to a ranked list with its reasons. A scorer says how much each item fits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from rung.core.errors import BundleError
from rung.core.model import Model, Reason
from rung.core.types import Columns, Prediction, Schema
from rung.modalities.recommendation.catalogue import Catalogue, Item
from rung.modalities.recommendation.events import items_of
from rung.modalities.recommendation.portrait import portrait
from rung.modalities.recommendation.portrait_periods import periods
from rung.modalities.recommendation.ranking import allowed_items, arranged, fresher, ranked, variety
from rung.modalities.recommendation.scorers import Arrays, Moment, Scorer, scorer_from
from rung.modalities.recommendation.segments import Segments
from rung.modalities.recommendation.wishes import Wishes

Floats = npt.NDArray[np.float64]
DEFAULT_K = 10
# Unknown items that an answer names, and events behind a suggestion that it shows.
_NAMED, _BECAUSE = 20, 3
# Scores are rounded so that an answer is the same on every machine.
_DIGITS = 6


@dataclass(frozen=True)
class Shelf:
    """What every recommender ships beside its own arrays: the items, how popular each is, and the product's wishes.

    popular: [items], scores of what is popular, tuned; any scale. shares: [items], of all events of training users.
    segments: what is popular among users alike, where that was better.
    """

    catalogue: Catalogue
    popular: Floats
    shares: Floats
    wishes: Wishes
    segments: Segments | None = None

    @cached_property
    def popular_order(self) -> npt.NDArray[np.int64]:
        """Return the items that may be suggested, the most popular first."""
        order = np.argsort(-self.popular, kind="stable")
        return order[self.catalogue.available[order]]

    def most_popular(self, k: int, free: npt.NDArray[np.bool_], taken: int) -> list[int]:
        """Return the k most popular items that are free. taken: how many of those that may be suggested are not, at most."""
        first = self.popular_order[: k + taken]
        found: list[int] = first[free[first]][:k].tolist()
        return found

    def with_items(self, items: Sequence[Item]) -> Shelf:
        """Return a shelf with items after its own that nobody had."""
        none = np.zeros(len(items))
        return replace(
            self, catalogue=self.catalogue.with_items(items), popular=np.concatenate([self.popular, none]),
            shares=np.concatenate([self.shares, none]), segments=self.segments and self.segments.wider(len(items)),
        )  # fmt: skip

    def popular_for(self, about: Mapping[str, str]) -> Floats | None:
        """Return what is popular among users of whom the same is known; None where that is the list of all."""
        return self.segments.of(about) if self.segments is not None and about else None

    def save(self, folder: Path, arrays: Mapping[str, npt.NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """Write items, arrays and facts into a model's folder."""
        from safetensors.numpy import save_file

        self.catalogue.save(folder)
        own = {"popular": self.popular.astype(np.float64), "shares": self.shares.astype(np.float32)}
        segmented = {"segments": self.segments.facts()} if self.segments is not None else {}
        own |= {"segments": self.segments.scores} if self.segments is not None else {}
        save_file(
            {k: np.ascontiguousarray(v) for k, v in {**own, **arrays}.items()}, folder / "arrays.safetensors"
        )
        text = json.dumps(
            {"wishes": self.wishes.as_dict(), **segmented, **facts}, ensure_ascii=False, indent=1
        )
        (folder / "recommender.json").write_text(text, encoding="utf-8")

    @staticmethod
    def load(folder: Path) -> tuple[Shelf, Arrays, dict[str, Any]]:
        """Return what `save` wrote; raises BundleError where it does not fit together."""
        from safetensors.numpy import load_file

        catalogue = Catalogue.load(folder)
        arrays: Arrays = load_file(folder / "arrays.safetensors")
        facts = json.loads((folder / "recommender.json").read_text(encoding="utf-8"))
        popular, shares = arrays.pop("popular"), arrays.pop("shares").astype(np.float64)
        if not len(catalogue) == len(popular) == len(shares):
            raise BundleError(
                "its items and arrays do not fit together", folder.name, "Build the bundle again."
            )
        wishes, segments = Wishes.from_dict(facts.pop("wishes")), None
        if "segments" in facts:
            try:
                segments = Segments.from_facts(facts.pop("segments"), arrays.pop("segments"))
            except (KeyError, TypeError, ValueError) as error:
                raise BundleError(
                    f"its segments cannot be read: {error}", folder.name, "Build the bundle again."
                ) from None
        return Shelf(catalogue, popular, shares, wishes, segments), arrays, facts


class Recommender(Model):
    """A model that scores every item for a history. Answers depend on the request alone.

    shelf: what all recommenders ship. scorer: how much each item fits a history. facts: what the fit chose, for report and card.
    """

    TASKS = frozenset({"recommendation"})
    NEEDS = "build"
    PACKAGES: ClassVar[tuple[str, ...]] = ("scipy",)

    def __init__(self, shelf: Shelf, scorer: Scorer, facts: Mapping[str, Any]) -> None:
        self.shelf, self.scorer, self._facts = shelf, scorer, dict(facts)
        self._names = [item.id for item in shelf.catalogue.items]

    @property
    def chosen(self) -> Mapping[str, Any]:
        return {**self._facts, "items": len(self.shelf.catalogue)}

    def save(self, folder: Path) -> None:
        facts = {"chosen": self._facts, "scorer": self.scorer.name, "settings": self.scorer.settings()}
        self.shelf.save(folder, self.scorer.arrays(), facts)

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        shelf, arrays, facts = Shelf.load(folder)
        try:
            scorer = cls.read_scorer(folder, facts, arrays, shelf)
        except (KeyError, ValueError, IndexError) as error:
            raise BundleError(
                f"its arrays cannot be read: {error}", folder.name, "Build the bundle again."
            ) from None
        return cls(shelf, scorer, facts["chosen"])

    @classmethod
    def read_scorer(cls, folder: Path, facts: Mapping[str, Any], arrays: Arrays, shelf: Shelf) -> Scorer:
        """Return the scorer from what `Shelf.load` read; raises KeyError, ValueError or IndexError where that does not fit."""
        return scorer_from(facts["scorer"], arrays, facts["settings"], shelf.popular)

    def with_items(self, items: Sequence[Item]) -> Recommender | None:
        """Return a model that also suggests these new items, by their content; None for one that knows items by ids alone."""
        return None

    def predict(self, inputs: Columns) -> list[Prediction]:
        histories = inputs["history"]
        none: Sequence[Any] = [None] * len(histories)
        asked = zip(histories, *(inputs.get(name, none) for name in ("k", "exclude", "context")), strict=True)
        return [
            self._answer(history, k or DEFAULT_K, exclude or (), wishes)
            for history, k, exclude, wishes in asked
        ]

    def choices(self, search: str, most: int) -> list[dict[str, str]]:
        """Return items whose name or id holds the words of a search, the most popular first; all of them match an empty one."""
        items, words = self.shelf.catalogue.items, search.casefold().split()
        found: list[dict[str, str]] = []
        exact = self.shelf.catalogue.place.get(search.strip())
        if exact is not None:
            found.append({"value": items[exact].id, "label": items[exact].title or items[exact].id})
        for place in np.argsort(-self.shelf.popular, kind="stable").tolist():
            item = items[place]
            if place == exact:
                continue
            text = f"{item.title} {item.id}".casefold()
            if item.available and all(word in text for word in words):
                found.append({"value": item.id, "label": item.title or item.id})
                if len(found) >= most:
                    break
        return found

    def explain(self, inputs: Columns, most: int = 8) -> list[list[Reason]]:
        """Return the items of each history that stand behind its first suggestions, strongest first."""
        return [self._reasons(answer, most) for answer in self.predict(inputs)]

    @staticmethod
    def _reasons(answer: Prediction, most: int) -> list[Reason]:
        weights: dict[str, float] = {}
        for because in answer.extra["because"]:
            for event in because:
                name = event.get("title") or event["item"]
                weights[name] = weights.get(name, 0.0) + event["weight"]
        ordered = sorted(weights.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
        return [Reason(name, round(weight, _DIGITS)) for name, weight in ordered]

    def moment(self, history: Sequence[Any] | None) -> Moment:
        """Return a history as scorers get it."""
        events = [(event, None, 1.0) if isinstance(event, str) else event for event in history or ()]
        columns = [self.shelf.catalogue.place.get(event[0]) for event in events]
        known = [column for column in columns if column is not None]
        last = next((event[1] for event in reversed(events) if event[1] is not None), None)
        if len(known) == len(events) == len(set(known)):
            values = np.fromiter((event[2] for event in events), np.float64, len(events))
            return Moment(np.array(known, np.int64), values, last, len(events))
        weights, unknown = dict[int, float](), dict[str, None]()
        for (name, _, weight), column in zip(events, columns, strict=True):
            if column is None:
                unknown[name] = None
            else:
                weights[column] = weights.pop(column, 0.0) + weight
        items = np.fromiter(weights, np.int64, len(weights))
        values = np.fromiter(weights.values(), np.float64, len(weights))
        return Moment(items, values, last, len(events), tuple(unknown))

    def _answer(
        self, history: Sequence[Any] | None, k: int, exclude: Sequence[str], asked: Mapping[str, Any] | None
    ) -> Prediction:
        wishes = self.shelf.wishes.changed(asked)
        if wishes.new_items and (brought := new_items(wishes.new_items, self.shelf.catalogue)):
            wider = self.with_items(brought)
            if wider is not None:
                own = {key: value for key, value in (asked or {}).items() if key != "new_items"}
                return wider._answer(history, k, exclude, own)
            # This model tells items by their ids alone: the new ones are named among the unknown.
            history = [*(history or ()), *([item.id, None, 0.0] for item in brought)]
        moment, shelf = self.moment(history), self.shelf
        place = shelf.catalogue.place
        excluded = [place[name] for name in items_of(exclude) if name in place]
        by, scores = self.scorer.scores(moment) if len(moment.items) else ("popularity", shelf.popular)
        alike = shelf.popular_for(wishes.user)
        scores = alike if alike is not None and by == "popularity" else scores
        allowed = allowed_items(shelf.catalogue, wishes, moment.items, excluded)
        plain_scores, scores = scores, fresher(scores, allowed, shelf.catalogue, wishes)
        items = arranged(scores, allowed, k, shelf.catalogue, wishes)
        ruled, plain = wishes.reorders, Wishes(seen=wishes.seen)
        free = allowed_items(shelf.catalogue, plain, moment.items, excluded) if ruled else allowed
        names = self._names
        extra: dict[str, Any] = {
            "scores": [round(float(scores[item]), _DIGITS) for item in items],
            "popular": [
                names[item] for item in self._popular(alike, free, k, len(moment.items) + len(excluded))
            ],
            "shown": [_shown(shelf.catalogue.items[item]) for item in items],
            "because": self._because(moment, items, by),
            "unknown": list(moment.unknown[:_NAMED]),
            "unknown_count": len(moment.unknown),
            "portrait": self._portrait(moment, history or ()),
            "pinned": sum(names[item] in wishes.pin for item in items) if wishes.pin else 0,
            "events": moment.length,
            "catalogue": len(names),
            "novelty": self._novelty(items),
            "variety": round(variety(shelf.catalogue, items[:20]), _DIGITS),
        }
        if ruled:
            extra["by_score"] = [names[item] for item in ranked(plain_scores, free, k)]
            extra["by_rule"] = {
                rule: self._alone(wish, plain_scores, moment, excluded, k)
                for rule, wish in wishes.rules.items()
            }
        return Prediction([names[item] for item in items], answered_by=by, extra=extra)

    def _popular(self, alike: Floats | None, free: npt.NDArray[np.bool_], k: int, taken: int) -> list[int]:
        return self.shelf.most_popular(k, free, taken) if alike is None else ranked(alike, free, k)

    def _alone(
        self, wish: Wishes, scores: Floats, moment: Moment, excluded: Sequence[int], k: int
    ) -> list[str]:
        """Return the list that one wish alone gives."""
        catalogue = self.shelf.catalogue
        allowed = allowed_items(catalogue, wish, moment.items, excluded)
        scores = fresher(scores, allowed, catalogue, wish)
        return [self._names[item] for item in arranged(scores, allowed, k, catalogue, wish)]

    def _portrait(self, moment: Moment, history: Sequence[Any]) -> dict[str, Any]:
        found = portrait(self.shelf.catalogue, moment.items, moment.weights)
        over_time = periods(self.shelf.catalogue, history) if found else []
        return found | ({"periods": over_time} if over_time else {})

    def _because(self, moment: Moment, items: Sequence[int], by: str) -> list[list[dict[str, Any]]]:
        """Return the events of the history behind each suggestion, strongest first; none where it is popular alone."""
        if not len(moment.items) or by == "popularity" or not items:
            return [[] for _ in items]
        # [items, events of the history].
        weights = np.maximum(self.scorer.behind(moment, np.array(items, np.int64)), 0.0).T
        strongest = np.argsort(-weights, axis=1, kind="stable")[:, :_BECAUSE]
        shares = weights[np.arange(len(items))[:, None], strongest]
        shares /= np.maximum(weights.sum(axis=1), 1e-12)[:, None]
        known = self.shelf.catalogue.items
        found = []
        for places, own in zip(moment.items[strongest].tolist(), shares.tolist(), strict=True):
            behind = []
            for place, share in zip(places, own, strict=True):
                if share > 0.0:
                    item = known[place]
                    event = {"item": item.id} | ({"title": item.title} if item.title else {})
                    behind.append(event | {"weight": round(share, 4)})
            found.append(behind)
        return found

    def _novelty(self, items: Sequence[int]) -> float:
        """Return the mean surprise of the suggestions in bits: -log2 of an item's share of all events, at most 20."""
        if not items:
            return 0.0
        shares = np.maximum(self.shelf.shares[list(items)], 2.0**-20)
        return round(float(-np.log2(shares).mean()), _DIGITS)


def new_items(raw: Sequence[Mapping[str, Any]], catalogue: Catalogue) -> list[Item]:
    """Return the items that a request brings, each once; those of the catalogue are known already."""
    found = {item.id: item for item in map(Item.from_dict, raw) if item.id not in catalogue.place}
    return list(found.values())


def _shown(item: Item) -> dict[str, Any]:
    """Return what an answer says of an item for people."""
    found: dict[str, Any] = {"title": item.title} if item.title else {}
    return found | ({"categories": list(item.categories)} if item.categories else {})
