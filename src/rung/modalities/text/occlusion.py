"""Explain a text's label for any scorer: remove words and measure the change of the score (Zeiler & Fergus
2014).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from rung.core.model import Reason
from rung.modalities.text.ideographs import join_ideographs
from rung.modalities.text.ngrams import word_spans

Scores = Callable[[Sequence[str]], npt.NDArray[np.float64]]
# At most this many versions of a text are scored; from longer texts, runs of words are removed.
_MAX_VERSIONS = 48


def explain_by_occlusion(text: str, scores: Scores, most: int) -> list[Reason]:
    """Return the words whose removal lowers the winning label's score most, strongest first.

    scores: texts -> [rows, labels]. A weight is the decrease of the winner's score relative to the mean of
    all labels; those of ideographs that make a word are added.
    """
    spans = word_spans(text)
    if not spans:
        return []
    size = -(-len(spans) // _MAX_VERSIONS)
    pieces = [(spans[i][0], spans[min(i + size, len(spans)) - 1][1]) for i in range(0, len(spans), size)]
    found = scores([text, *(text[:start] + " " + text[end:] for start, end in pieces)])
    top = int(found[0].argmax())
    margin = found[:, top] - found.mean(axis=1)
    total: dict[str, float] = {}
    weighted = [
        (start, end, float(margin[0] - left)) for (start, end), left in zip(pieces, margin[1:], strict=True)
    ]
    for start, end, weight in join_ideographs(text, weighted):
        total[text[start:end]] = total.get(text[start:end], 0.0) + weight
    strongest = sorted(total.items(), key=lambda item: (-abs(item[1]), item[0]))[:most]
    return [Reason(piece, round(weight, 4)) for piece, weight in strongest if weight]
