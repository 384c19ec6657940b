"""Join ideographs that explain a prediction to words: a single character of Chinese or Japanese says little."""

from __future__ import annotations

from collections.abc import Sequence

# Most characters of a joined run; one character that is left over may come on top.
_MAX_RUN = 4
Weighted = tuple[int, int, float]


def is_ideograph(char: str) -> bool:
    """Return whether a character is an ideograph or kana."""
    return "\u3040" <= char <= "\u9fff" or char >= "\U00020000"


def ideograph_share(text: str) -> float:
    """Return the share of a text's characters other than blanks that are ideographs or kana."""
    plain = "".join(text.split())
    return sum(map(is_ideograph, plain)) / len(plain) if plain else 0.0


def join_ideographs(text: str, spans: Sequence[Weighted]) -> list[Weighted]:
    """Return weighted spans with ideographs joined, weights added; other spans stay as they are.

    Neighbouring ideographs whose weights have the same sign make a run of up to four characters. One that is left
    alone joins the run beside it, of its own sign if there is one. spans: (start, end, weight) in order.
    """
    runs: list[Weighted] = []
    for start, end, weight in spans:
        if runs and _continues(text, runs[-1], start, end) and runs[-1][2] * weight > 0:
            runs[-1] = (runs[-1][0], end, runs[-1][2] + weight)
        else:
            runs.append((start, end, weight))
    joined: list[Weighted] = []
    place = 0
    while place < len(runs):
        run = runs[place]
        if run[1] - run[0] == 1 and is_ideograph(text[run[0]]):
            before = joined[-1] if joined and _touch(text, joined[-1], run) else None
            after = runs[place + 1] if place + 1 < len(runs) and _touch(text, run, runs[place + 1]) else None
            if after is not None and (before is None or (after[2] * run[2] > 0 and before[2] * run[2] <= 0)):
                joined.append((run[0], after[1], run[2] + after[2]))
                place += 2
                continue
            if before is not None:
                joined[-1] = (before[0], run[1], before[2] + run[2])
                place += 1
                continue
        joined.append(run)
        place += 1
    return joined


def _continues(text: str, run: Weighted, start: int, end: int) -> bool:
    return _touch(text, run, (start, end, 0.0)) and end - run[0] <= _MAX_RUN


def _touch(text: str, left: Weighted, right: Weighted) -> bool:
    """Return whether two spans are neighbours and ideographs meet."""
    return left[1] == right[0] and is_ideograph(text[left[1] - 1]) and is_ideograph(text[right[0]])
