"""Two texts for one prompt, judged by people who do not know which model wrote which; and how often one is preferred, with an exact bound."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from rung.annotation.annotation_store import AnnotationStore
from rung.annotation.cohen_kappa import cohen_kappa
from rung.annotation.query_strategy import LearnerState
from rung.annotation.session import LabellingSession
from rung.core.errors import DataError
from rung.core.files import write_text
from rung.core.spec.labelling import LabellingSpec
from rung.core.stats.confidence_bounds import proportion_lower
from rung.data.labels.audit_sample import CHOSEN, Census, Zones
from rung.data.labels.consensus import Verdict
from rung.data.labels.pool import Pool, PoolRow

PAIRS_FILE, STORE_FILE = "pairs.json", "choices.sqlite"
# What people choose. No name tells which model wrote a text.
FIRST, SECOND, EQUAL = "1", "2", "="
ALPHA = 0.05
_MOST_PAIRS = 100_000


@dataclass(frozen=True)
class TextPair:
    """A prompt with the texts of both models. swapped: the text of the second model stands first."""

    prompt: str
    one: str
    other: str
    swapped: bool

    @property
    def key(self) -> str:
        """Return what the pair is stored under: 16 hex digits."""
        told = json.dumps([self.prompt, self.one, self.other], ensure_ascii=False)
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @property
    def shown(self) -> tuple[str, str]:
        """Return the texts in the order in which people see them."""
        return (self.other, self.one) if self.swapped else (self.one, self.other)

    def winner(self, choice: str) -> int:
        """Return 0 for the first model, 1 for the second, -1 for neither. choice: FIRST, SECOND or EQUAL."""
        if choice not in {FIRST, SECOND}:
            return -1
        return int((choice == SECOND) != self.swapped)


@dataclass(frozen=True)
class PairFile:
    """The pairs of two models. names: of both."""

    names: tuple[str, str]
    pairs: tuple[TextPair, ...]

    def save(self, folder: Path) -> None:
        """Write them."""
        folder.mkdir(parents=True, exist_ok=True)
        told = {"names": self.names, "pairs": [asdict(pair) for pair in self.pairs]}
        write_text(folder / PAIRS_FILE, json.dumps(told, ensure_ascii=False, indent=1) + "\n")

    @staticmethod
    def load(folder: Path) -> PairFile:
        """Return what `save` wrote; raises DataError."""
        try:
            told = json.loads((folder / PAIRS_FILE).read_text(encoding="utf-8"))
            one, other = map(str, told["names"])
            return PairFile((one, other), tuple(TextPair(**pair) for pair in told["pairs"][:_MOST_PAIRS]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            fix = "`rung compare write` makes such a folder."
            raise DataError(f"there are no pairs of texts: {error}", str(folder / PAIRS_FILE), fix) from None


def make_pairs(
    prompts: Sequence[str], one: Sequence[str], other: Sequence[str], seed: int
) -> tuple[TextPair, ...]:
    """Return the pairs in an order drawn by the seed, each side first by a draw of its own; equal prompts once."""
    draw = random.Random(seed)  # noqa: S311 - an order, no secret
    found: dict[str, TextPair] = {}
    for prompt, first, second in zip(prompts, one, other, strict=True):
        found.setdefault(prompt, TextPair(prompt, first, second, draw.random() < 0.5))
    pairs = list(found.values())
    draw.shuffle(pairs)
    return tuple(pairs)


class _InOrder:
    """Asks for all pairs in the order of the file and suggests nothing. Implements `QueryStrategy`."""

    featurizer_name = "words"

    def __init__(self, count: int) -> None:
        self._places = tuple(range(count))

    @property
    def state(self) -> LearnerState:
        return LearnerState(0, (), "useful")

    def update(self, training: list[tuple[int, str]]) -> None:
        """Do nothing: nothing is learned."""

    def queue(self) -> Sequence[int]:
        return self._places

    def reason(self, text: str) -> str:
        return "random"

    def suggest(self, place: int) -> tuple[str, float] | None:
        return None

    def wait(self, seconds: float = 60.0) -> bool:
        return True


class PairSession(LabellingSession):
    """A session over pairs whose texts differ; every pair certifies."""

    learns: ClassVar[bool] = False

    def __init__(self, pairs: PairFile, store: AnnotationStore, words: Mapping[str, str], title: str) -> None:
        """words: what FIRST, SECOND and EQUAL mean, and `prompt`, in the language of the page."""
        asked = [pair for pair in pairs.pairs if pair.one != pair.other]
        if not asked:
            raise DataError(
                "both models wrote the same texts: there is nothing to choose between", PAIRS_FILE
            )
        rows = tuple(
            PoolRow(
                pair.key, place, PAIRS_FILE, place + 1,
                {words["prompt"]: pair.prompt, FIRST: pair.shown[0], SECOND: pair.shown[1]}, CHOSEN,
            )
            for place, pair in enumerate(asked)
        )  # fmt: skip
        labels = {choice: words[choice] for choice in (FIRST, SECOND, EQUAL)}
        pool = Pool(rows, Zones(0.0, 0.0, 0.0), len(rows), len(rows), labels)
        spec = LabellingSpec(labels=labels, guidelines=words.get("guidelines", ""))
        super().__init__(pool, store, spec, _InOrder(len(rows)), title)

    def _audit_census(self) -> Census:
        done = sum(
            not self._is_undecided(place) and not self._is_disputed(row.text)
            for place, row in enumerate(self.pool.rows)
        )
        return Census(0.0, done, len(self.pool.rows), ())


@dataclass(frozen=True)
class WinRate:
    """How often each model is preferred. wins: of both. equal: said to be, or the same text. open: not judged, or people disagree.

    lower: bound of the share of prompts on which each is preferred, at 1 - ALPHA.
    """

    names: tuple[str, str]
    prompts: int
    wins: tuple[int, int]
    equal: int
    open: int
    lower: tuple[float, float]

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def win_rate(pairs: PairFile, said: Mapping[str, str]) -> WinRate:
    """Return the win rates. said: key of a pair -> the choice that stands.

    The bounds are Clopper-Pearson's over all prompts of the file, of which those not judged count as not won. Each prompt has a choice that people
    make of it, whenever they do; wins so far are some of the wins of all of them, and the bound grows with wins. So whoever looks in
    between, and stops when they like it, sees a bound that is at most the one of the end, which is above the truth with a probability of ALPHA
    at most: looks cost nothing here. The claim is for prompts of which these are a random sample, and for these people.
    """
    wins, equal, undecided = [0, 0], 0, 0
    for pair in pairs.pairs:
        choice = EQUAL if pair.one == pair.other else said.get(pair.key)
        won = pair.winner(choice) if choice else -1
        equal += choice == EQUAL
        undecided += choice not in {FIRST, SECOND, EQUAL}
        if won >= 0:
            wins[won] += 1
    n = len(pairs.pairs)
    lower = tuple(proportion_lower(count, n, ALPHA) if n else 0.0 for count in wins)
    return WinRate(pairs.names, n, (wins[0], wins[1]), equal, undecided, (lower[0], lower[1]))


def standing(found: Iterable[Verdict]) -> dict[str, str]:
    """Return the choice that stands for each pair: that of all who judged it, or what settled a disagreement."""
    return {verdict.text: verdict.answer for verdict in found if verdict.answer}


@dataclass(frozen=True)
class JudgeAgreement:
    """How far a language model agrees with people. pairs: that both judged. lower: bound of the share on which they agree, at 1 - ALPHA."""

    pairs: int
    agree: int
    lower: float
    kappa: float


def judge_agreement(said: Mapping[str, str], judged: Mapping[str, str]) -> JudgeAgreement | None:
    """Return the agreement on the pairs that people and a model judged; None without any."""
    both = [(said[key], judged[key]) for key in judged if key in said]
    if not both:
        return None
    agree = sum(a == b for a, b in both)
    kappa = cohen_kappa(both)[0]
    return JudgeAgreement(len(both), agree, proportion_lower(agree, len(both), ALPHA), round(kappa, 4))
