"""Which feedback may be learned: what certifies stays out, what is contradicted or odd is put aside, nobody floods.

Put aside is not lost: feedback stays in the journal, and what was put aside is listed with its reason. Somebody else who
agrees, or a reviewer, brings it back at the next improvement. These rules keep honest noise and clumsy attacks out; they are
no proof. What keeps a worse model from serving is the gate (`loop.gate`), whatever was learned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Fewer rows of a label the model does not know teach it nothing.
MIN_ROWS_OF_NEW_LABEL = 5
CERTIFIES, UNKNOWN_LABEL, CONTRADICTED, OUTLIER, AUTHOR_SHARE, TOO_FEW = (
    "certifies", "unknown_label", "contradicted", "outlier", "author_share", "too_few",
)  # fmt: skip
REASONS = (CERTIFIES, UNKNOWN_LABEL, CONTRADICTED, OUTLIER, AUTHOR_SHARE, TOO_FEW)


@dataclass(frozen=True)
class Vote:
    """What one author says of one text now. text: its hash. is_reviewer: said with a key that may review."""

    prediction: str
    text: str
    author: str
    is_reviewer: bool
    label: Any


@dataclass(frozen=True)
class ResolvedFeedback:
    """One text to learn, or to put aside. authors: who said so; reviewed: they may review."""

    prediction: str
    text: str
    label: Any
    authors: tuple[str, ...]
    is_reviewed: bool = False


@dataclass(frozen=True)
class FilterResult:
    """What is learned, and what was put aside by reason."""

    accepted: tuple[ResolvedFeedback, ...]
    rejected: Mapping[str, tuple[ResolvedFeedback, ...]] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Return reason -> texts put aside."""
        return {reason: len(self.rejected.get(reason, ())) for reason in REASONS if self.rejected.get(reason)}


@dataclass(frozen=True)
class FilterRules:
    """labels: that may be learned; None: any answer (a number). known: labels the champion knows. sure, author_share: see
    `core.improve_spec`."""

    allowed_labels: Collection[Any] | None
    known_labels: Collection[Any]
    confidence_threshold: float
    max_author_share: float


def filter_feedback(
    votes: Sequence[Vote],
    predictions: Mapping[str, tuple[Any, float]],
    excluded: Collection[str],
    rules: FilterRules,
) -> FilterResult:
    """Return what may be learned of the feedback.

    opinions: at most one an author and text. answers: text -> what the champion answered, and how probable it found that.
    barred: texts that certify, or may. The order of what comes back goes by the texts' hashes.
    """
    by_text: dict[str, list[Vote]] = {}
    for opinion in votes:
        by_text.setdefault(opinion.text, []).append(opinion)
    aside: dict[str, list[ResolvedFeedback]] = {}
    learned: list[ResolvedFeedback] = []
    for text in sorted(by_text):
        said = by_text[text]
        # Whoever may review outweighs whoever may only predict.
        weighty = [opinion for opinion in said if opinion.is_reviewer] or said
        authors = tuple(sorted({opinion.author for opinion in weighty}))
        found = ResolvedFeedback(
            weighty[0].prediction, text, weighty[0].label, authors, weighty[0].is_reviewer
        )
        reason = _rejection_reason(found, weighty, predictions.get(text), excluded, rules)
        (aside.setdefault(reason, []) if reason else learned).append(found)
    learned, over = _limit_author_shares(learned, rules.max_author_share)
    aside.setdefault(AUTHOR_SHARE, []).extend(over)
    counts = Counter(item.label for item in learned) if rules.allowed_labels is not None else Counter()
    few = {
        label for label, n in counts.items() if label not in rules.known_labels and n < MIN_ROWS_OF_NEW_LABEL
    }  # fmt: skip
    aside.setdefault(TOO_FEW, []).extend(item for item in learned if item.label in few)
    learned = [item for item in learned if item.label not in few] if few else learned
    return FilterResult(tuple(learned), {reason: tuple(items) for reason, items in aside.items() if items})


def _rejection_reason(
    found: ResolvedFeedback,
    said: Sequence[Vote],
    prediction: tuple[Any, float] | None,
    excluded: Collection[str],
    rules: FilterRules,
) -> str:
    """Return why a text is put aside; "" when it is not."""
    if found.text in excluded:
        return CERTIFIES
    if len({opinion.label for opinion in said}) > 1:
        return CONTRADICTED
    if rules.allowed_labels is not None and found.label not in rules.allowed_labels:
        return UNKNOWN_LABEL
    alone = len(found.authors) == 1 and not said[0].is_reviewer
    if (
        alone
        and prediction is not None
        and prediction[0] != found.label
        and prediction[1] >= rules.confidence_threshold
    ):
        return OUTLIER
    return ""


def _limit_author_shares(
    learned: list[ResolvedFeedback], share: float
) -> tuple[list[ResolvedFeedback], list[ResolvedFeedback]]:
    """Return the texts, and those beyond an author's share. What several authors agree on is nobody's alone.

    Reviewers have no share to exceed: the team gave them their keys, and most teams have one. Nor has an author who is the
    only one: there is nobody to be outweighed. For both the gate has the word.
    """
    own: dict[str, list[ResolvedFeedback]] = {}
    for item in learned:
        if len(item.authors) == 1 and not item.is_reviewed:
            own.setdefault(item.authors[0], []).append(item)
    free = len(learned) - sum(map(len, own.values()))
    if share >= 1.0 or (len(own) < 2 and not free):
        return learned, []
    allowed = {author: len(items) for author, items in own.items()}
    while True:
        total = sum(allowed.values()) + free
        over = [author for author, n in allowed.items() if n > share * total + 1e-9]
        if not over:
            break
        for author in over:
            allowed[author] = min(
                int(share / (1 - share) * (total - allowed[author]) + 1e-9), allowed[author] - 1
            )
    # Texts stand in the order of their hashes, which has nothing to do with what they say.
    beyond = {item.text for author, items in own.items() for item in items[max(allowed[author], 0) :]}
    return [i for i in learned if i.text not in beyond], [i for i in learned if i.text in beyond]
