"""Check for single words that determine a label."""

from __future__ import annotations

from collections import Counter, defaultdict

from rung.data.profile.finding import Finding
from rung.data.profile.view import View, spread
from rung.modalities.text.ngrams import normalize_text, word_spans

KINDS = frozenset({"text"})
TARGETS = True
WHEN = "build"
_ROWS = 20_000
# A word that stands in most of a label's rows and in hardly any other is no topic word: those are rarer.
_PURE, _COVERS, _LEAST = 0.98, 0.6, 15


def check(view: View) -> Finding | None:
    """Return the words, and pairs of words, that stand in most rows of one label and nearly nowhere else."""
    rows = spread(len(view.texts), _ROWS)
    labels = [view.labels[i] for i in rows]
    sizes = Counter(labels)
    if len(sizes) < 2:
        return None
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    words_of = [_words(view.texts[i]) for i in rows]
    counts = Counter(word for words in words_of for word in words)
    least = max(_LEAST, int(_COVERS * min(sizes.values())))
    likely = {word for word, count in counts.items() if count >= least}
    for words, label in zip(words_of, labels, strict=True):
        for word in words & likely:
            seen[word][label] += 1
    found: dict[str, tuple[str, int, int]] = {}
    for word, by_label in seen.items():
        label, hits = by_label.most_common(1)[0]
        if hits >= max(_LEAST, _COVERS * sizes[label]) and hits >= _PURE * by_label.total():
            found[word] = (label, hits, by_label.total())
    if not found:
        return None
    ranked = sorted(found, key=lambda word: (-found[word][1], word))
    shown = ", ".join(
        f"“{word}” → '{found[word][0]}' ({found[word][1]}/{found[word][2]})" for word in ranked[:5]
    )
    notes = {
        row: hit
        for row, words in zip(rows, words_of, strict=True)
        if (hit := next((w for w in ranked if w in words), ""))
    }
    values = {"words": shown, "pure": _PURE, "covers": _COVERS}
    return Finding(
        "leak_word", "stop", len(notes), len(rows), values, view.evidence(list(notes), notes.__getitem__)
    )


def _words(text: str) -> set[str]:
    """Return the words of a text and its pairs of neighbours; of ideographs, pairs are the words."""
    folded = normalize_text(text[:4_000])
    words = [folded[start:end] for start, end in word_spans(folded)]
    return {*words, *(f"{a} {b}" for a, b in zip(words, words[1:], strict=False))}
