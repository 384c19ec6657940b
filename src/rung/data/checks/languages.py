"""Check for several languages in one column: each needs enough rows to be learned and certified."""

from __future__ import annotations

import re
from collections import Counter

from rung.data.profile.finding import Finding
from rung.data.profile.view import View, share_words

KINDS = frozenset({"text"})
TARGETS = False
WHEN = "build"
_CHARS = 600
_SCRIPTS = {
    "zh": re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]"),
    "ja": re.compile(r"[\u3040-\u30ff]"),
    "ko": re.compile(r"[\uac00-\ud7af]"),
    "ru": re.compile(r"[\u0400-\u04ff]"),
    "ar": re.compile(r"[\u0600-\u06ff]"),
    "hi": re.compile(r"[\u0900-\u097f]"),
    "th": re.compile(r"[\u0e00-\u0e7f]"),
    "el": re.compile(r"[\u0370-\u03ff]"),
    "latin": re.compile(r"[A-Za-z\u00c0-\u024f]"),
}
# The commonest short words of languages in Latin letters, none of which is common in another of these.
_WORDS = {
    "en": "the and of to is was for that with this you have not are it",
    "de": "der die und das ist nicht ich ein eine mit für auf sich dem den",
    "fr": "le les et des une est pas dans pour que qui sur avec vous je",
    "es": "el los las una por para con que más pero como muy está del lo",
    "it": "il che di non una per sono con della gli è più anche nel questo",
    "pt": "não uma que para com os das mais por muito foi ele seu você em",
    "nl": "het een van niet dat zijn voor met aan ook maar wordt naar bij hij",
}
_COMMON = {word: {lang for lang, words in _WORDS.items() if word in words.split()} for words in _WORDS.values() for word in words.split()}  # fmt: skip
_LATIN_WORD = re.compile(r"[a-z\u00e0-\u024f]+")
_LEAST = 0.005


def check(view: View) -> Finding | None:
    """Return the rows that are not of the commonest language, when at least one in 200 is sure to be of another."""
    found = [language(text) for text in view.texts]
    counts = Counter(filter(None, found))
    if len(counts) < 2:
        return None
    main, known = counts.most_common(1)[0][0], counts.total()
    other = {name for name, count in counts.items() if name != main and count >= max(3, _LEAST * known)}
    rows = [i for i, name in enumerate(found) if name in other]
    if not rows:
        return None
    shown = share_words({name: count for name, count in counts.items() if name in other | {main}}, known)
    return Finding(
        "languages", "info", len(rows), len(found), {"shares": shown}, view.evidence(rows, found.__getitem__)
    )


def language(text: str) -> str:
    """Return the code of a text's language, "" when it is too short or too mixed to tell.

    By script, and among Latin letters by common short words: at least three of one language and twice those of
    any other. Short texts stay untold rather than guessed.
    """
    text = text[:_CHARS]
    counts = {name: len(pattern.findall(text)) for name, pattern in _SCRIPTS.items()}
    # An ideograph is worth about a word; so are five letters.
    weights = {
        name: count / 5 if name in {"latin", "ru", "el"} else float(count) for name, count in counts.items()
    }
    total = sum(weights.values())
    if total < 2:
        return ""
    if counts["ja"] > 0.1 * (counts["ja"] + counts["zh"]) and counts["ja"] >= 2:
        return "ja"
    top = max(weights, key=lambda name: weights[name])
    if weights[top] < 0.6 * total:
        return ""
    return _latin(text) if top == "latin" else top


def _latin(text: str) -> str:
    votes: Counter[str] = Counter()
    for word in _LATIN_WORD.findall(text.casefold()):
        for lang in _COMMON.get(word, ()):
            votes[lang] += 1
    ranked = votes.most_common(2)
    if not ranked or ranked[0][1] < 3 or (len(ranked) > 1 and ranked[0][1] < 2 * ranked[1][1]):
        return ""
    return ranked[0][0]
