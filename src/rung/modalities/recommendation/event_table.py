"""A table of events becomes rows of moments: what a user had done by then, and what came later.

Events are kept as numbers, about 40 bytes each, and every event that cannot be used is named with its reason.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.scalars import is_missing, scalar_text
from rung.core.spec.recommend import RecommendSpec
from rung.core.types import Row
from rung.modalities.recommendation.events import item_id

HISTORY, LATER = "history", "later"
# From so many users on each gives one row, of a length drawn by its hash: no event is then held several times.
ONE_ROW_USERS = 20_000
_SHARE = 0.8
_HOUR = 3_600.0
# An item that fills more than this share of at least so many events is clicked by a machine.
_ONE_ITEM_SHARE, _ONE_ITEM_EVENTS = 0.5, 100
# Times after now by more than a day's difference of clocks and zones.
_AHEAD = 86_400.0

Ints = npt.NDArray[np.int64]


class EventTable:
    """Collects events; `rows` gives the moments, and each event that was left out as a row with its problem.

    parse_time: of a cell, seconds since 1970 or None. now: seconds since 1970; later events are refused. known: what is known of
    users, by id: it stands in the context of their moments, as a request would bring it.
    """

    def __init__(
        self,
        spec: RecommendSpec,
        parse_time: Callable[[Any], float | None],
        now: float,
        known: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._spec, self._parse, self._now, self._known = spec, parse_time, now, known or {}
        self._users: dict[str, int] = {}
        self._items: dict[str, int] = {}
        self._files: dict[str, int] = {}
        self._user, self._item, self._file = array("q"), array("q"), array("q")
        self._number, self._when, self._weight = array("q"), array("d"), array("d")

    def add(self, row: Row) -> Row | None:
        """Take an event; return it as a row with its problem where it cannot be used."""
        if row.values is None:
            return row
        values, spec = row.values, self._spec
        try:
            user, item = self._id(values.get(spec.user)), self._id(values.get(spec.item))
        except ValueError as error:
            return _refused(row, f"bad_id: {error}")
        if not user or not item:
            return _refused(row, f"missing_id: no {'user' if not user else 'item'}")
        when, weight, problem = self._measures(values)
        if problem:
            return _refused(row, problem)
        self._user.append(self._users.setdefault(user, len(self._users)))
        self._item.append(self._items.setdefault(item, len(self._items)))
        self._file.append(self._files.setdefault(row.file, len(self._files)))
        self._number.append(row.number)
        self._when.append(when)
        self._weight.append(weight)
        return None

    @staticmethod
    def _id(cell: Any) -> str:
        return "" if is_missing(cell) and not isinstance(cell, str) else item_id(cell)

    def _measures(self, values: MutableMapping[str, Any]) -> tuple[float, float, str]:
        """Return time and weight of an event, and why it cannot be used, as "reason: detail"."""
        spec = self._spec
        when: float | None = 0.0
        if spec.time is not None:
            cell = values.get(spec.time)
            when = None if is_missing(cell, "time") else self._parse(cell)
            if when is None:
                return 0.0, 0.0, f"bad_time: '{str(cell)[:40]}' is neither a date nor a number"
            if when > self._now + _AHEAD:
                return 0.0, 0.0, f"future_time: '{str(cell)[:40]}' has not come yet"
        weight = 1.0
        if spec.kind is not None:
            name = scalar_text(values.get(spec.kind))
            if spec.kinds and name not in spec.kinds:
                return 0.0, 0.0, f"other_kind: '{name[:40]}' is none of `recommend.kinds`"
            weight = spec.kinds.get(name, 1.0)
        if spec.weight is not None:
            cell = values.get(spec.weight)
            try:
                weight = float(scalar_text(cell))
            except ValueError:
                return 0.0, 0.0, f"bad_weight: '{str(cell)[:40]}' is not a number"
            if not np.isfinite(weight):
                return 0.0, 0.0, f"bad_weight: '{str(cell)[:40]}' is not a number"
        if spec.least_weight is not None and weight < spec.least_weight:
            return 0.0, 0.0, f"low_weight: {weight:g} is below `recommend.least_weight`"
        return float(when or 0.0), weight, ""

    def rows(self, group: str, notes: MutableMapping[str, int]) -> Iterator[Row]:
        """Yield the moments of each user in the order in which users appear, and what was left out.

        group: column of the user. notes: gets what was sorted or counted, by name.
        """
        user, item = _ints(self._user), _ints(self._item)
        if not len(user):
            return  # Every event was refused: the ingestion says so, with the reasons.
        when = np.frombuffer(self._when, "f8") if len(self._when) else np.zeros(0)
        # By user and time; within a moment in the order of the file.
        order = np.lexsort((np.arange(len(user)), when, user))
        ends = np.searchsorted(user[order], np.arange(len(self._users)), "right")
        begins = np.concatenate([[0], ends[:-1]]).astype(np.int64)
        arranged = int((np.diff(order) < 0).sum()) - int((order[begins[1:]] < order[begins[1:] - 1]).sum())
        if arranged:
            notes["events_sorted"] = arranged
        notes["events_read"] = len(user)
        names, users = list(self._items), list(self._users)
        for number, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
            places = order[begin:end]
            bot = self._bot(item[places], when[places])
            kept, dropped = (
                ([], places.tolist()) if bot else _without_repeats(places, item, self._spec.seen == "keep")
            )
            for place in dropped:
                yield self._left_out(place, bot or "repeated_event: the user did this with the item before")
            distinct = len({int(item[place]) for place in kept})
            if kept and distinct < 2:
                for place in kept:
                    yield self._left_out(place, "single_event: its user has no other, so nothing is later")
            elif kept:
                yield from self._moments(users[number], group, kept, names)

    def _bot(self, items: Ints, when: npt.NDArray[np.float64]) -> str:
        """Return why a user is no person, as "reason: detail"; "" for a person."""
        most = self._spec.most_per_hour
        if self._spec.time is not None and len(when) > most and (when[most:] - when[:-most] < _HOUR).any():
            return f"bot: its user has more than {most:,} events within an hour"
        if len(items) >= _ONE_ITEM_EVENTS:
            common = int(np.unique(items, return_counts=True)[1].max())
            if common > _ONE_ITEM_SHARE * len(items):
                return f"bot: {common:,} of the {len(items):,} events of its user are of one item"
        return ""

    def _moments(self, user: str, group: str, places: list[int], names: list[str]) -> Iterator[Row]:
        has_time = self._spec.time is not None
        events = [
            [names[self._item[place]], self._when[place] if has_time else None, self._weight[place]]
            for place in places
        ]
        last = places[-1]
        file = list(self._files)[self._file[last]] if len(self._files) > 1 else next(iter(self._files))
        about = self._known.get(user)
        context = {"context": {"user": dict(about)}} if about else {}
        for length in self._lengths(user, len(events)):
            history, later = events[:length], events[length:]
            if self._spec.seen == "leave_out":
                seen = {event[0] for event in history}
                later = [event for event in later if event[0] not in seen]
            if later:
                yield Row(file, self._number[last], {group: user, HISTORY: history, LATER: later, **context})

    def _lengths(self, user: str, events: int) -> list[int]:
        """Return the history lengths at which a user is looked at, each once."""
        wanted = sorted({*self._spec.lengths, int(_SHARE * events)})
        found = [length for length in wanted if 0 < length < events]
        if len(self._users) < ONE_ROW_USERS or not found:
            return found
        drawn = int.from_bytes(hashlib.blake2b(user.encode("utf-8", "surrogatepass"), digest_size=8).digest())
        return [found[drawn % len(found)]]

    def _left_out(self, place: int, problem: str) -> Row:
        names = list(self._files)
        row = Row(names[self._file[place]], self._number[place], None, problem)
        return row._replace(hash=_hash(f"{row.file}:{row.number}"))


def _without_repeats(places: Ints, item: Ints, keeps: bool) -> tuple[list[int], list[int]]:
    """Return the events that stay, and later ones of an item that was there before; keeps: those stay, too."""
    if keeps:
        return places.tolist(), []
    _, first = np.unique(item[places], return_index=True)
    stays = np.zeros(len(places), bool)
    stays[first] = True
    return places[stays].tolist(), places[~stays].tolist()


def _ints(values: array[int]) -> Ints:
    return np.frombuffer(values, "i8") if len(values) else np.zeros(0, np.int64)


def _refused(row: Row, problem: str) -> Row:
    return Row(row.file, row.number, None, problem, _hash(f"{row.file}:{row.number}"))


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
