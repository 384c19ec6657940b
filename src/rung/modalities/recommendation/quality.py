"""What a report says of lists beside their scores: by history length, by how much users did, and the price of rules."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from rung.core.metrics.base import FloatArray
from rung.core.types import Prediction
from rung.modalities.recommendation.events import items_of
from rung.modalities.recommendation.list_metrics import ndcg, paired_values, relevant_of

_K = 10
# A length at which fewer of the rows stand than this share is no chosen one: it is some users' four fifths.
_LEAST_SHARE = 0.02
_GROUPS = ("light", "middle", "heavy")


def by_length(truths: Sequence[Any], answers: Sequence[Prediction]) -> list[dict[str, Any]]:
    """Return, a history length, rows, nDCG@10 of answers and of what is popular; lengths of few rows together, last.

    length: 0 for the rows of all other lengths, where a user's history is most of what they did.
    """
    ours, popular = paired_values(truths, answers, _K)
    events = [answer.extra["events"] for answer in answers]
    counts = Counter(events)
    common = (
        {length for length, n in counts.items() if n >= _LEAST_SHARE * len(events)}
        if len(counts) > 8
        else set(counts)
    )
    places: dict[int, list[int]] = defaultdict(list)
    for place, length in enumerate(events):
        places[length if length in common else 0].append(place)
    ordered = sorted(places, key=lambda length: (length == 0, length))
    return [{"length": length} | _means(ours, popular, places[length]) for length in ordered]


def by_user_group(truths: Sequence[Any], answers: Sequence[Prediction]) -> list[dict[str, Any]]:
    """Return, a third of the rows by how many events their users have in all, nDCG@10 of answers and of what is popular.

    A mean over all users says little of any of them: heavy users are easier to please.
    """
    if not answers:
        return []
    ours, popular = paired_values(truths, answers, _K)
    total = np.array(
        [answer.extra["events"] + len(truth) for truth, answer in zip(truths, answers, strict=True)]
    )
    edges = np.quantile(total, [1 / 3, 2 / 3])
    group = np.searchsorted(edges, total, "left")
    found = []
    for number, name in enumerate(_GROUPS):
        places = np.flatnonzero(group == number).tolist()
        if places:
            span = {"least": int(total[places].min()), "most": int(total[places].max())}
            found.append({"group": name, **span} | _means(ours, popular, places))
    return found


def effect_of_rules(truths: Sequence[Any], answers: Sequence[Prediction]) -> dict[str, Any]:
    """Return nDCG@10 with the product's rules after the ranking, without any, and with each of them alone; {} where it has none."""
    pairs = [(t, a) for t, a in zip(truths, answers, strict=True) if "by_score" in a.extra]
    if not pairs:
        return {}
    sets = [relevant_of(truth) for truth, _ in pairs]
    kept = np.mean([ndcg(s, items_of(a.value), _K) for s, (_, a) in zip(sets, pairs, strict=True)])
    free = np.mean([ndcg(s, a.extra["by_score"], _K) for s, (_, a) in zip(sets, pairs, strict=True)])
    found = {"rows": len(pairs), "with": round(float(kept), 5), "without": round(float(free), 5)}
    rules = dict.fromkeys(rule for _, answer in pairs for rule in answer.extra["by_rule"])
    alone = {
        rule: np.mean([ndcg(s, a.extra["by_rule"].get(rule, a.extra["by_score"]), _K) for s, (_, a) in zip(sets, pairs, strict=True)])
        for rule in rules
    }  # fmt: skip
    return {
        **found,
        "each": [{"rule": rule, "ndcg": round(float(value), 5)} for rule, value in alone.items()],
    }


def _means(ours: FloatArray, popular: FloatArray, places: Sequence[int]) -> dict[str, Any]:
    mine, theirs = float(ours[places].mean()), float(popular[places].mean())
    return {"rows": len(places), "ndcg": round(mine, 5), "popular": round(theirs, 5)}
