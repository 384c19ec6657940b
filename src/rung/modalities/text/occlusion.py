"""Why a text got its answer, for any scorer: leave words out and see how far the answer moves (Zeiler & Fergus 2014)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from rung.core.model import Reason
from rung.modalities.text.ngrams import word_spans

Scores = Callable[[Sequence[str]], npt.NDArray[np.float64]]
# So many versions of one text are scored at most; a longer text is left out by runs of words.
_VERSIONS = 48


def explain_by_occlusion(text: str, scores: Scores, most: int) -> list[Reason]:
    """Return the words whose absence costs the winning label most, strongest first.

    scores: texts -> [rows, labels]. A weight is what the winner's score, over the mean of all, loses without
    the words.
    """
    spans = word_spans(text)
    if not spans:
        return []
    size = -(-len(spans) // _VERSIONS)
    pieces = [(spans[i][0], spans[min(i + size, len(spans)) - 1][1]) for i in range(0, len(spans), size)]
    found = scores([text, *(text[:start] + " " + text[end:] for start, end in pieces)])
    top = int(found[0].argmax())
    margin = found[:, top] - found.mean(axis=1)
    total: dict[str, float] = {}
    for (start, end), left in zip(pieces, margin[1:], strict=True):
        total[text[start:end]] = total.get(text[start:end], 0.0) + float(margin[0] - left)
    strongest = sorted(total.items(), key=lambda item: (-abs(item[1]), item[0]))[:most]
    return [Reason(piece, round(weight, 4)) for piece, weight in strongest if weight]
