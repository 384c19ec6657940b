"""Learn patterns of fields: count how often each context of a value is one, and keep those that nearly always are."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from rung.core.field_values import field_values
from rung.modalities.text.field_patterns import MOST_TOKENS, FieldRule, Pattern, ReadText
from rung.modalities.text.spans import Span, mark


def learn_rules(
    texts: Sequence[str], targets: Sequence[str], precision: float, min_right: int, most_rules: int
) -> list[FieldRule]:
    """Return the rules that hold on these texts, those that are right most often first.

    precision: the least share of places where a pattern fits and its field's value stands there. A pattern that
    a more general rule of the same field makes needless is left out.
    """
    read = [ReadText(text) for text in texts]
    spans = [_token_spans(r, mark(text, field_values(target))[0]) for r, text, target in zip(read, texts, targets, strict=True)]  # fmt: skip
    right: dict[Pattern, Counter[str]] = defaultdict(Counter)
    for one, own in zip(read, spans, strict=True):
        for (first, last), field in own.items():
            for pattern in one.patterns(first, last):
                right[pattern][field] += 1
    wanted = {p: fields for p, fields in right.items() if fields.most_common(1)[0][1] >= min_right}
    fits = _fits(read, wanted)
    rules = []
    for pattern, fields in wanted.items():
        field, hits = fields.most_common(1)[0]
        rule = FieldRule(field, pattern, hits, fits[pattern] - hits)
        if hits / fits[pattern] >= precision:
            rules.append(rule)
    return _needed(rules)[:most_rules]


def _token_spans(read: ReadText, spans: Sequence[Span]) -> dict[tuple[int, int], str]:
    """Return (first token, token after the last) -> field of values that begin and end with a token."""
    begins = {start: place for place, (start, _) in enumerate(read.tokens)}
    ends = {end: place + 1 for place, (_, end) in enumerate(read.tokens)}
    found = {}
    for span in spans:
        first, last = begins.get(span.start), ends.get(span.end)
        if first is not None and last is not None and first < last <= first + MOST_TOKENS:
            found[first, last] = span.field
    return found


def _fits(read: Sequence[ReadText], wanted: dict[Pattern, Counter[str]]) -> Counter[Pattern]:
    """Return how often each pattern fits a place of the texts, whatever stands there."""
    shapes = {pattern.shape for pattern in wanted}
    sizes = sorted({len(shape) for shape in shapes})
    found: Counter[Pattern] = Counter()
    for one in read:
        for first in range(len(one.tokens)):
            for size in sizes:
                last = first + size
                if last <= len(one.tokens) and tuple(one.shapes[first:last]) in shapes:
                    found.update(p for p in one.patterns(first, last) if p in wanted)
    return found


def _needed(rules: Sequence[FieldRule]) -> list[FieldRule]:
    """Return rules without those that a more general one of the same field covers at no lower score."""
    best = {(rule.field, rule.pattern): rule for rule in rules}
    kept = []
    for rule in rules:
        pattern = rule.pattern
        wider = {
            Pattern(pattern.before[cut:], pattern.shape, after)
            for cut in range(len(pattern.before) + 1)
            for after in (pattern.after, None)
        } - {pattern}
        general = [best[rule.field, each] for each in wider if (rule.field, each) in best]
        if not any(other.score >= rule.score for other in general):
            kept.append(rule)
    return sorted(kept, key=lambda rule: (-rule.right, rule.wrong, rule.field, str(rule.pattern)))
