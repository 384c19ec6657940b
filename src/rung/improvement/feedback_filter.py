"""Filter feedback before training: reject rows that certify, unlikely labels, and a flood by one author.

Rejected feedback stays in the journal and is listed with its reason. If another author agrees, or a reviewer
confirms it, it is accepted at the next improvement. These rules keep out honest noise and simple attacks;
they prove nothing. The non-inferiority test (`improvement.noninferiority_test`) keeps a worse model from
serving, whatever it was trained on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# A new label with fewer rows than this is not learned.
MIN_ROWS_OF_NEW_LABEL = 5
CERTIFIES, UNREADABLE, NO_LABEL, UNKNOWN_LABEL, CONTRADICTED, OUTLIER, AUTHOR_SHARE, TOO_FEW = REASONS = (
    "certifies", "unreadable", "no_label", "unknown_label", "contradicted", "outlier", "author_share", "too_few",
)  # fmt: skip


@dataclass(frozen=True)
class Vote:
    """The latest answer of one author for one text.

    text: its hash. is_reviewer: given with a key that may review. label: None for an answer that the task cannot read.
    """

    prediction: str
    text: str
    author: str
    is_reviewer: bool
    label: Any


@dataclass(frozen=True)
class ResolvedFeedback:
    """The label of one text, to accept or reject.

    authors: those who gave it. is_reviewed: they are reviewers.
    """

    prediction: str
    text: str
    label: Any
    authors: tuple[str, ...]
    is_reviewed: bool = False


@dataclass(frozen=True)
class FilterResult:
    """Accepted feedback, and rejected feedback by reason."""

    accepted: tuple[ResolvedFeedback, ...]
    rejected: Mapping[str, tuple[ResolvedFeedback, ...]] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Return reason -> number of rejected texts."""
        return {reason: len(self.rejected.get(reason, ())) for reason in REASONS if self.rejected.get(reason)}


def itself(label: Any) -> tuple[Any, ...]:
    """Return an answer that is one label as the labels it holds."""
    return (label,)


@dataclass(frozen=True)
class FilterRules:
    """allowed_labels: None for any answer (numbers). known_labels: of the champion. confidence_threshold,
    max_author_share: `sure` and `author_share` of `core.spec.improve`. parts: the labels that an answer holds.
    """

    allowed_labels: Collection[Any] | None
    known_labels: Collection[Any]
    confidence_threshold: float
    max_author_share: float
    parts: Callable[[Any], Iterable[Any]] = itself


def filter_feedback(
    votes: Sequence[Vote],
    predictions: Mapping[str, tuple[Any, float]],
    excluded: Collection[str],
    rules: FilterRules,
) -> FilterResult:
    """Return the accepted and the rejected feedback, in the order of text hashes.

    votes: at most one per author and text. predictions: text -> the champion's answer and its probability.
    excluded: texts that certify or may certify.
    """
    by_text: dict[str, list[Vote]] = {}
    for vote in votes:
        by_text.setdefault(vote.text, []).append(vote)
    rejected: dict[str, list[ResolvedFeedback]] = {}
    accepted: list[ResolvedFeedback] = []
    for text in sorted(by_text):
        every = by_text[text]
        # Votes of reviewers override those of other authors.
        every = [vote for vote in every if vote.label is not None] or every
        decisive = [vote for vote in every if vote.is_reviewer] or every
        authors = tuple(sorted({vote.author for vote in decisive}))
        found = ResolvedFeedback(
            decisive[0].prediction, text, decisive[0].label, authors, decisive[0].is_reviewer
        )
        reason = _rejection_reason(found, decisive, predictions.get(text), excluded, rules)
        (rejected.setdefault(reason, []) if reason else accepted).append(found)
    accepted, over = _limit_author_shares(accepted, rules.max_author_share)
    rejected.setdefault(AUTHOR_SHARE, []).extend(over)
    counts: Counter[Any] = Counter()
    if rules.allowed_labels is not None:
        counts.update(label for item in accepted for label in rules.parts(item.label))
    few = {
        label for label, n in counts.items() if label not in rules.known_labels and n < MIN_ROWS_OF_NEW_LABEL
    }  # fmt: skip
    rare = [item for item in accepted if not few.isdisjoint(rules.parts(item.label))] if few else []
    rejected.setdefault(TOO_FEW, []).extend(rare)
    accepted = [item for item in accepted if item not in rare] if rare else accepted
    return FilterResult(
        tuple(accepted), {reason: tuple(items) for reason, items in rejected.items() if items}
    )


def _rejection_reason(
    found: ResolvedFeedback,
    votes: Sequence[Vote],
    prediction: tuple[Any, float] | None,
    excluded: Collection[str],
    rules: FilterRules,
) -> str:
    """Return why a text is rejected; "" if it is accepted."""
    if found.text in excluded:
        return CERTIFIES
    if found.label is None:
        return UNREADABLE
    if any(vote.label != votes[0].label for vote in votes[1:]):
        return CONTRADICTED
    if rules.allowed_labels is not None and any(
        label not in rules.allowed_labels for label in rules.parts(found.label)
    ):
        # Reviewers said that no label fits.
        return NO_LABEL if found.label == "" else UNKNOWN_LABEL
    alone = len(found.authors) == 1 and not votes[0].is_reviewer
    if (
        alone
        and prediction is not None
        and prediction[0] != found.label
        and prediction[1] >= rules.confidence_threshold
    ):
        return OUTLIER
    return ""


def _limit_author_shares(
    accepted: list[ResolvedFeedback], share: float
) -> tuple[list[ResolvedFeedback], list[ResolvedFeedback]]:
    """Return the accepted texts, and those beyond the maximum share of an author.

    Texts with several authors always count.

    The limit does not apply to reviewers, who got their keys from the team and are often the only one, nor to
    a single author. In both cases the non-inferiority test decides.
    """
    own: dict[str, list[ResolvedFeedback]] = {}
    for item in accepted:
        if len(item.authors) == 1 and not item.is_reviewed:
            own.setdefault(item.authors[0], []).append(item)
    free = len(accepted) - sum(map(len, own.values()))
    if share >= 1.0 or (len(own) < 2 and not free):
        return accepted, []
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
    # Texts are in the order of their hashes, which is independent of their content.
    beyond = {item.text for author, items in own.items() for item in items[max(allowed[author], 0) :]}
    return [i for i in accepted if i.text not in beyond], [i for i in accepted if i.text in beyond]
