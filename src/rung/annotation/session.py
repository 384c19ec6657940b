"""A labelling session: which row each person labels next, their answers, and the progress.

It works on any pool of rows and any store of answers (`AnnotationStore`): a file without labels, or the
journal of a served product. Queries and answers never wait for a model: the query strategy learns in a thread
of its own.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from rung.annotation.annotation_store import AnnotationStore
from rung.annotation.author import normalize_author
from rung.annotation.box_answers import boxes_text, labels_in
from rung.annotation.cohen_kappa import PairAgreement, pairwise_agreement
from rung.annotation.query_strategy import QueryStrategy
from rung.annotation.sampling import next_zone
from rung.core.errors import InputError, did_you_mean
from rung.core.spec.labelling import LabellingSpec
from rung.data.labels.audit_sample import AUDIT, CHOSEN, RANDOM, Census, census
from rung.data.labels.consensus import CANNOT, Verdict, last_by, number_text, verdicts
from rung.data.labels.pool import Pool, PoolRow
from rung.data.labels.store import LABEL, SETTLE, SKIP, UNCLEAR, UNDO, Entry

# How long a row that is shown to one person is reserved for them.
_RESERVATION_SECONDS = 600.0
MAX_ANSWER = 10_000


@dataclass(frozen=True)
class LabelQuery:
    """A row to label.

    reason: audit, random, cluster, useful, or again (another person labelled it too). suggestion: a label and
    its probability; None for random rows, so that no answer is influenced by a model.
    """

    row: PoolRow
    reason: str
    suggestion: tuple[str, float] | None = None


@dataclass(frozen=True)
class Progress:
    """Counts of current labels. audit: progress of the rows that certify. mine: entries of one person."""

    labelled: int
    random: int
    unclear: int
    disagreements: int
    by_label: Mapping[str, int]
    audit: Census
    mine: int
    rows: int


@dataclass
class _Annotations:
    """The entries so far and the verdicts that follow from them."""

    entries: list[Entry] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)


class LabellingSession:
    """Chooses rows and records answers. Thread-safe. learns: whether labels train a model whose curve is shown."""

    learns: ClassVar[bool] = True

    def __init__(
        self,
        pool: Pool,
        store: AnnotationStore,
        spec: LabellingSpec,
        strategy: QueryStrategy,
        title: str = "",
    ) -> None:
        self.pool, self.spec, self.strategy, self.title = pool, spec, strategy, title
        self._store = store
        self._place_by_text = pool.by_text()
        self._units = np.array([row.unit for row in pool.rows], np.uint64)
        self._places_by_zone = {
            name: [place for place, row in enumerate(pool.rows) if row.zone == zone]
            for name, zone in (("audit", AUDIT), ("random", RANDOM))
        }
        self._prelabelled = [place for place, row in enumerate(pool.rows) if row.given is not None]
        self._lock = threading.RLock()
        self._reservations: dict[str, tuple[str, float]] = {}
        self._annotations = _Annotations()
        self._refresh()

    @property
    def labels(self) -> list[str]:
        return list(self.pool.labels)

    def next(self, author: str) -> LabelQuery | None:
        """Return the next row for a person, reserved for them for ten minutes; None when no row is left."""
        return next(iter(self.next_batch(author, 1, reserve=True)), None)

    def next_batch(self, author: str, count: int, reserve: bool = False) -> list[LabelQuery]:
        """Return up to `count` rows for a person to label, in a file or, reserved for them, side by side on a page."""
        author = normalize_author(author)
        with self._lock:
            self._refresh()
            queries = self._select(author, count)
            if reserve and queries:
                others = {text: one for text, one in self._reservations.items() if one[0] != author}
                now = time.monotonic()
                self._reservations = others | {query.row.text: (author, now) for query in queries}
            return queries

    def record_answer(
        self, author: str, text: str, kind: str, label: str | None = None, token: str | None = None
    ) -> int:
        """Record a person's answer for a row and return the number of its entry.

        kind: label, skip, unclear or settle.

        token: a repeated token writes nothing. Raises InputError for unknown rows and labels.
        """
        author = normalize_author(author)
        if kind not in {LABEL, SKIP, UNCLEAR, SETTLE}:
            raise InputError(
                f"'{kind}' is not a kind of answer",
                "kind",
                did_you_mean(kind, (LABEL, SKIP, UNCLEAR, SETTLE)),
            )
        if kind == LABEL or (kind == SETTLE and label is not None):
            label = self.parse_label(label)
        entry = self.new_entry(author, text, kind, label if kind in {LABEL, SETTLE} else None, token)
        with self._lock:
            number = self._store.add(entry)[0]
            self._reservations.pop(text, None)
            self._refresh()
            return number

    def parse_label(self, label: str | None) -> str:
        """Return an answer as it is stored; raises InputError unless it is of the pool's kind and within its bounds."""
        if self.pool.answer_kind == "text":
            text = (label or "").strip()
            if not text or len(text) > MAX_ANSWER:
                raise InputError(
                    "an answer is empty or too long", "label", f"Write 1 to {MAX_ANSWER:,} characters."
                )
            return text
        if self.pool.answer_kind == "boxes":
            return boxes_text(label, self.labels, MAX_ANSWER)
        if self.pool.answer_kind == "number":
            number = number_text(label)
            if number is None:
                raise InputError(f"'{str(label)[:60]}' is not a number", "label", "Write it like 12.5.")
            return number
        if label is None or label not in self.pool.labels:
            raise InputError(
                f"'{label}' is not one of the labels", "label", did_you_mean(str(label), self.labels)
            )
        return label

    def new_entry(
        self, author: str, text: str, kind: str, label: str | None, token: str | None = None
    ) -> Entry:
        """Return the entry of an answer, with the reason for its row, which depends on the row's zone only."""
        if text not in self._place_by_text:
            raise InputError(
                f"there is no row '{text[:20]}' in the data",
                "text",
                "Has the file changed? Start `rung label` again.",
            )
        row = self.pool.rows[self._place_by_text[text]]
        reason = {AUDIT: "audit", RANDOM: "random"}.get(row.zone) or self.strategy.reason(text)
        inclusion = self.pool.zones.inclusion(row.zone)
        return Entry(author, kind, text, row.file, row.row, label, reason, inclusion, token=token)

    def undo(self, author: str, token: str | None = None) -> LabelQuery | None:
        """Undo a person's last entry by a new one and return its row again; None without an entry."""
        author = normalize_author(author)
        with self._lock:
            self._refresh()
            last = last_by(self._annotations.entries, author)
            if last is None or last.text not in self._place_by_text:
                return None
            self._store.add(
                Entry(author, UNDO, last.text, last.file, last.row, None, last.how, None, last.id, token)
            )
            self._refresh()
            self._reservations[last.text] = (author, time.monotonic())
            return self._query_for(self._place_by_text[last.text], last.how)

    def progress(self, author: str = "") -> Progress:
        """Return the progress; `mine` counts the entries of `author`."""
        with self._lock:
            self._refresh()
            found = self._annotations.verdicts
            answers = {text: verdict.answer for text, verdict in found.items() if text in self._place_by_text}
            of = labels_in if self.pool.answer_kind == "boxes" else lambda answer: (answer,)
            counts = Counter(name for answer in answers.values() for name in of(answer))
            by_label = {name: counts[name] for name in self.labels}
            random = sum(
                answer not in (None, CANNOT) and self.pool.rows[self._place_by_text[text]].zone == RANDOM
                for text, answer in answers.items()
            )
            answered = sum(answer not in (None, CANNOT) for answer in answers.values())
            return Progress(
                sum(by_label.values()) if self.pool.answer_kind == "label" else answered,
                random,
                sum(answer == CANNOT for answer in answers.values()),
                sum(verdict.disagree for verdict in found.values()),
                by_label,
                self._audit_census(),
                sum(entry.author == author and entry.kind != UNDO for entry in self._annotations.entries),
                self.pool.texts,
            )

    def disagreements(self) -> list[tuple[PoolRow, Verdict]]:
        """Return the rows that people label differently and nobody has settled."""
        with self._lock:
            self._refresh()
            return [
                (self.pool.rows[self._place_by_text[text]], verdict)
                for text, verdict in self._annotations.verdicts.items()
                if verdict.disagree and text in self._place_by_text
            ]

    def agreement(self) -> list[PairAgreement]:
        """Return the agreement of every two people."""
        with self._lock:
            self._refresh()
            return pairwise_agreement(self._annotations.verdicts.values())

    def answers_by(self, author: str) -> dict[str, str]:
        """Return text hash -> the current label of a person."""
        with self._lock:
            self._refresh()
            return {
                text: v.said[author] for text, v in self._annotations.verdicts.items() if author in v.said
            }

    def add_entries(self, entries: Sequence[Entry]) -> None:
        """Write many entries, all or none."""
        with self._lock:
            self._store.add(*entries)
            self._refresh()

    def _refresh(self) -> None:
        """Read entries that any process wrote since the last call, and update the query strategy."""
        last = self._annotations.entries[-1].id if self._annotations.entries else 0
        more = self._store.entries(last)
        if more or not self._annotations.verdicts:
            entries = self._annotations.entries + more
            self._annotations = _Annotations(entries, verdicts(entries))
            self.strategy.update(self._training_labels())

    def _training_labels(self) -> list[tuple[int, str]]:
        """Return (place, label) of the training rows, labels of the file first, then in order of time."""
        found = self._annotations.verdicts
        rows: list[tuple[int, int, str]] = []
        for place in {
            *self._prelabelled,
            *(self._place_by_text[text] for text in found if text in self._place_by_text),
        }:
            row = self.pool.rows[place]
            verdict = found.get(row.text)
            answer = verdict.answer if verdict is not None else row.given
            if answer is None and verdict is not None and not verdict.disagree:
                answer = row.given
            if answer and row.zone != AUDIT:
                rows.append((verdict.first if verdict is not None else 0, place, answer))
        return [(place, label) for _, place, label in sorted(rows)]

    def _is_undecided(self, place: int) -> bool:
        """Return whether a row has no label, neither by people nor in the file."""
        row = self.pool.rows[place]
        verdict = self._annotations.verdicts.get(row.text)
        if verdict is None or not (verdict.said or verdict.settled is not None):
            return row.given is None
        return False

    def _audit_census(self) -> Census:
        rows = self.pool.rows
        undecided = [
            rows[place].unit
            for place in self._places_by_zone["audit"]
            if self._is_undecided(place) or self._is_disputed(rows[place].text)
        ]
        return census(self._units, np.array(undecided, np.uint64), self.pool.zones)

    def _is_disputed(self, text: str) -> bool:
        verdict = self._annotations.verdicts.get(text)
        return verdict is not None and verdict.disagree

    def _select(self, author: str, count: int) -> list[LabelQuery]:
        now = time.monotonic()
        taken = {
            text
            for text, (who, since) in self._reservations.items()
            if who != author and now - since < _RESERVATION_SECONDS
        }
        last = last_by(self._annotations.entries, author)
        just_skipped = last.text if last is not None and last.kind == SKIP else None
        queries: list[LabelQuery] = []
        counts = self._labels_per_zone()
        mine = self.answers_by(author)
        both = sum(len(self._annotations.verdicts[text].said) > 1 for text in mine)
        while len(queries) < count:
            # Two people never draw the same boxes, so none are compared.
            is_compared = self.pool.answer_kind != "boxes"
            again = is_compared and both + 1 <= self.spec.overlap * (len(mine) + len(queries) + 1)
            place = self._overlap_row(author, taken) if again else None
            if place is not None:
                both += 1
                queries.append(LabelQuery(self.pool.rows[place], "again"))
            else:
                zone = next_zone(
                    (counts[0], counts[1], counts[2]), self.spec.audit_share, self.spec.random_share
                )
                query = self._pick_from_zone(author, zone, taken, just_skipped)
                if query is None:
                    break
                queries.append(query)
                counts[{AUDIT: 0, RANDOM: 1}.get(query.row.zone, 2)] += 1
            taken.add(queries[-1].row.text)
        return queries

    def _labels_per_zone(self) -> list[int]:
        """Return the number of rows that people labelled in the audit, random and chosen zones."""
        counts = [0, 0, 0]
        for text, verdict in self._annotations.verdicts.items():
            if (verdict.said or verdict.settled is not None) and text in self._place_by_text:
                counts[self.pool.rows[self._place_by_text[text]].zone] += 1
        return counts

    def _overlap_row(self, author: str, taken: set[str]) -> int | None:
        """Return the place of a row that exactly one other person has labelled."""
        for text, verdict in self._annotations.verdicts.items():
            one = len(verdict.said) == 1 and author not in verdict.said and verdict.settled is None
            if one and text not in taken and author not in verdict.skipped and text in self._place_by_text:
                return self._place_by_text[text]
        return None

    def _pick_from_zone(
        self, author: str, zone: str, taken: set[str], just_skipped: str | None
    ) -> LabelQuery | None:
        """Return the next row of a zone, else of another zone.

        Rows that this person skipped come last, the one skipped just before at the very end.
        """
        skipped: list[int] = []
        for name in dict.fromkeys((zone, "chosen", "random", "audit")):
            for place in self._zone_queue(name):
                row = self.pool.rows[place]
                if row.text in taken or not self._is_undecided(place):
                    continue
                verdict = self._annotations.verdicts.get(row.text)
                if verdict is not None and author in verdict.skipped:
                    skipped.append(place)
                    continue
                # No row beyond an audit border is asked before all rows below it are decided: skipped ones
                # come back.
                waiting = [p for p in skipped if self.pool.rows[p].text != just_skipped]
                if name == "audit" and waiting and self._crosses_border(waiting[0], place):
                    return self._query_for(waiting[0], "audit")
                return self._query_for(place, name)
            if name == zone == "audit" and skipped and self.pool.rows[skipped[0]].text != just_skipped:
                return self._query_for(skipped[0], "audit")
        skipped.sort(key=lambda place: self.pool.rows[place].text == just_skipped)
        return self._query_for(skipped[0], zone) if skipped else None

    def _crosses_border(self, one: int, other: int) -> bool:
        """Return whether an audit border lies between two rows."""
        a, b = (self.pool.rows[place].unit / 2.0**64 for place in (one, other))
        return any(a < border <= b for border in self.pool.zones.borders())

    def _zone_queue(self, zone: str) -> Sequence[int]:
        """Return the places of a zone's rows, in the order to ask."""
        return self.strategy.queue() if zone == "chosen" else self._places_by_zone[zone]

    def _query_for(self, place: int, reason: str) -> LabelQuery:
        row = self.pool.rows[place]
        if row.zone != CHOSEN:
            return LabelQuery(row, "audit" if row.zone == AUDIT else "random")
        if reason == "chosen":
            reason = self.strategy.reason(row.text)
        return LabelQuery(row, reason, self.strategy.suggest(place))
