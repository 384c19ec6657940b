"""How like two texts are: chrF and ROUGE-L; and how much a text repeats itself.

chrF: Popovic (2015), characters without blanks, n-grams up to 6, recall counts twice as much as precision; as sacrebleu
averages it over the orders that both texts can have. ROUGE-L: Lin (2004), F of the longest common subsequence of words.
An ideograph is a word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from rung.modalities.text.ngrams import normalize_text, word_spans

_ORDERS, _BETA = 6, 2.0
# Characters of a text that are compared: both measures take time with the length.
_MOST = 4_000


@lru_cache(maxsize=20_000)
def chrf(truth: str, said: str) -> float:
    """Return chrF of a text against the truth, in [0, 1]; 1 where both are empty."""
    one, other = (" ".join(text[:_MOST].split()).replace(" ", "") for text in (truth, said))
    if not one or not other:
        return float(one == other)
    precisions, recalls = [], []
    for order in range(1, _ORDERS + 1):
        if len(one) < order or len(other) < order:
            break
        wanted, given = _grams(one, order), _grams(other, order)
        hits = sum((wanted & given).values())
        precisions.append(hits / given.total())
        recalls.append(hits / wanted.total())
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    below = _BETA**2 * precision + recall
    return (1 + _BETA**2) * precision * recall / below if below else 0.0


@lru_cache(maxsize=20_000)
def rouge_l(truth: str, said: str) -> float:
    """Return ROUGE-L (F1) of a text against the truth, in [0, 1]; 1 where both are empty."""
    one, other = words_of(truth), words_of(said)
    if not one or not other:
        return float(one == other)
    common = _common(one, other)
    return 2 * common / (len(one) + len(other))


def distinct(text: str, order: int = 2) -> float:
    """Return the share of a text's runs of words that are different, in [0, 1]; 1 where it has none."""
    grams = _runs(text, order)
    return len(set(grams)) / len(grams) if grams else 1.0


def repetition(text: str, order: int = 4) -> float:
    """Return the share of a text's runs of words that stood in it before, in [0, 1]; 0 where it has none."""
    grams = _runs(text, order)
    return 1.0 - len(set(grams)) / len(grams) if grams else 0.0


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a text, folded; an ideograph is one."""
    folded = normalize_text(text[:_MOST])
    return tuple(folded[start:end] for start, end in word_spans(folded))


def _runs(text: str, order: int) -> list[tuple[str, ...]]:
    words = words_of(text)
    return [words[start : start + order] for start in range(len(words) - order + 1)]


def _grams(text: str, order: int) -> Counter[str]:
    return Counter(text[start : start + order] for start in range(len(text) - order + 1))


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common subsequence, bit by bit (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for place, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << place
    full = (1 << len(one)) - 1
    row = full
    for word in other:
        hits = row & places.get(word, 0)
        row = ((row + hits) | (row - hits)) & full
    return len(one) - row.bit_count()
