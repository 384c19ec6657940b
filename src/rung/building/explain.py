"""Ask a rung why, on rows held out of its training, for any model that explains and any task with labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from rung.core.excerpt import excerpt, thumbnails
from rung.core.kind import kind
from rung.core.model import Explains
from rung.core.types import Examples, Prediction

# Wrong answers shown with their reasons, and right ones of each label that the words of a label are taken from.
_MISTAKES = 8
_RIGHT = 20
_MOST_LABELS = 50
# What all folds together may cost, and how many versions of a text are asked about where words are left out one by one.
_SECONDS, _VERSIONS = 5.0, 48
_BEGINNING = 240


class Explanations:
    """Collects reasons fold by fold; call it with a fold's model, its held-out rows and its answers.

    seconds_per_answer: as planned. folds: that will come. A slow model is asked about fewer rows; how many follows from the plan and not
    from the clock, so that a build finds the same reasons again, and every embedding it needs in the cache.
    """

    def __init__(self, seconds_per_answer: float = 1e-4, folds: int = 1) -> None:
        self._affordable = _SECONDS / folds / (_VERSIONS * max(seconds_per_answer, 1e-9))
        self._examples: list[dict[str, Any]] = []
        self._weights: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self._rows = 0
        self._explains = False

    def __call__(self, model: object, rows: Examples, answers: Sequence[Prediction]) -> None:
        """Explain the surest wrong answers, then right ones label by label, as many as can be afforded."""
        if not (isinstance(model, Explains) and rows.schema.labels):
            return
        self._explains = True
        wrong = [i for i, answer in enumerate(answers) if answer.value != rows.targets[i]]
        wrong.sort(key=lambda i: -(answers[i].score or 0.0))
        wrong = wrong[: min(_MISTAKES, max(int(self._affordable / 2), 1))]
        for index in wrong:
            reasons = model.explain(rows.take([index]).inputs)[0]
            self._examples.append(
                {
                    "row": rows.rows[index],
                    "input": excerpt(rows, index),
                    "truth": str(rows.targets[index]),
                    "answer": str(answers[index].value),
                    "score": round(answers[index].score or 0.0, 4),
                    "reasons": [
                        reason.as_dict() | {"text": reason.text[:60], "weight": round(reason.weight, 4)}
                        for reason in reasons
                    ],
                }
                | ({"thumbnails": shown} if (shown := thumbnails(rows, index)) else {})
            )
        if any(kind(field.kind).is_media for field in rows.schema.inputs):
            return  # They have no words.
        self._learn_words(model, rows.take(_right(rows, answers)), self._affordable - len(wrong))

    def _learn_words(self, model: Any, rows: Examples, affordable: float) -> None:
        """Ask about the beginnings of rows: a long text would be explained by phrases, a short one word by word."""
        short = {name: [_beginning(value) for value in column] for name, column in rows.inputs.items()}
        share = max(_chars(short), 1) / max(_chars(rows.inputs), 1)
        most = max(int(affordable / min(share, 1.0)), 0)
        short = {name: column[:most] for name, column in short.items()}
        for index, answer in enumerate(model.predict(short) if most and len(rows) else []):
            if answer.value != rows.targets[index]:
                continue
            self._rows += 1
            for reason in model.explain({name: [column[index]] for name, column in short.items()})[0]:
                if any(char.isalnum() for char in reason.text):
                    self._weights[str(answer.value)][reason.text.casefold()].append(reason.weight)

    def as_dict(self) -> dict[str, Any]:
        """Return the words that speak for each label and the explained mistakes, surest first."""
        if not self._explains:
            return {}
        examples = sorted(self._examples, key=lambda found: (-found["score"], found["row"]))
        words = {label: _strongest(weights) for label, weights in sorted(self._weights.items())}
        return {"rows": self._rows, "words": words, "examples": examples[:_MISTAKES]}


def _right(rows: Examples, answers: Sequence[Prediction]) -> list[int]:
    """Return rows that were answered right, at most so many of each label, dealt label by label."""
    right: dict[str, list[int]] = defaultdict(list)
    for i, answer in enumerate(answers):
        if answer.value == rows.targets[i] and len(right[str(answer.value)]) < _RIGHT:
            right[str(answer.value)].append(i)
    dealt = [(place, i) for found in list(right.values())[:_MOST_LABELS] for place, i in enumerate(found)]
    return [i for _, i in sorted(dealt)]


def _beginning(value: Any) -> Any:
    """Return the first words of a text; anything else as it is."""
    return " ".join(value[:_BEGINNING].split()[:40]) if isinstance(value, str) else value


def _chars(inputs: Mapping[str, Sequence[Any]]) -> int:
    return sum(len(value) for column in inputs.values() for value in column if isinstance(value, str))


def _strongest(weights: Mapping[str, Sequence[float]], most: int = 8) -> list[dict[str, Any]]:
    """Return the words that moved most answers towards a label; one seen in a single row tells nothing general."""
    common = {word: found for word, found in weights.items() if len(found) > 1 and sum(found) > 0}
    best = sorted(common.items(), key=lambda item: (-sum(item[1]), item[0]))[:most]
    return [
        {"text": word[:60], "weight": round(sum(found) / len(found), 4), "rows": len(found)}
        for word, found in best
    ]
