"""Check for images that show nothing or little: blank, dark, blurred, or of a very different size or shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rung.data.prepare.near_media import measures_of, media_fields
from rung.data.profile.finding import Finding, Level
from rung.data.profile.view import View

KINDS = frozenset({"image"})
TARGETS = False
WHEN = "build"
Floats = npt.NDArray[np.float64]
# Measures of `ImageKind.inspect`: contrast of one colour all over, brightness of a lens cap.
_BLANK_CONTRAST, _DARK = 0.01, 0.06
# Sharpness below so many interquartile ranges of its logarithm under the first quartile, and below this share of the median.
_FENCE, _BLURRED = 2.0, 0.33
# Less than this share of the median area, and of the median ratio of the longer to the shorter side at least so many times.
_SMALL_AREA, _LONG_TIMES = 0.05, 3.0
_LEAST_ROWS = 20
_MEASURES = ("width", "height", "brightness", "contrast", "sharpness")
_WARN_SHARE = 0.02


def check(view: View) -> Finding | None:
    """Return the images that stand out, each with the reason; whether they are wrong is for people to say."""
    fields = [field for field in media_fields(view.dataset.schema.inputs) if field.kind == "image"]
    rows, measures = measures_of(fields, view.train.inputs, _MEASURES)
    if len(rows) < _LEAST_ROWS:
        return None
    width, height, brightness, contrast, sharp = measures.T
    reasons = {
        "blank": contrast < _BLANK_CONTRAST,
        "dark": (brightness < _DARK) & (np.median(brightness) > 2 * _DARK),
        "blurred": _blurred(sharp),
        "small": width * height < _SMALL_AREA * np.median(width * height),
        "narrow": _ratio(width, height) > _LONG_TIMES * np.median(_ratio(width, height)),
    }
    reason = np.full(len(rows), "", dtype=object)
    for name, marked in reasons.items():
        reason[marked & (reason == "")] = name
    found: Sequence[int] = np.flatnonzero(reason != "").tolist()
    if not found:
        return None
    by_row = {int(rows[i]): str(reason[i]) for i in found}
    counts = Counter(by_row.values())
    values = {name: counts.get(name, 0) for name in reasons}
    level: Level = "warn" if len(by_row) > _WARN_SHARE * len(rows) else "info"
    return Finding(
        "image_quality",
        level,
        len(by_row),
        len(view.train),
        values,
        view.evidence(list(by_row), by_row.__getitem__),
    )


def _blurred(sharp: Floats) -> npt.NDArray[np.bool_]:
    known = sharp[sharp > 0]
    if len(known) < _LEAST_ROWS:
        return np.zeros(len(sharp), bool)
    logs = np.log(known)
    low, high = np.quantile(logs, [0.25, 0.75])
    fence = min(low - _FENCE * max(high - low, 0.2), np.log(_BLURRED * np.median(known)))
    return np.asarray((sharp > 0) & (sharp < np.exp(fence)))


def _ratio(width: Floats, height: Floats) -> Floats:
    return np.asarray(np.maximum(width, height) / np.maximum(np.minimum(width, height), 1))
