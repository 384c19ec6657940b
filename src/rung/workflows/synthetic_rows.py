"""Rows that a teacher makes up for labels of few rows, for training alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rung.core.errors import RungError
from rung.core.types import Prediction

if TYPE_CHECKING:
    from rung.runtime.llm.client import LlmClient
    from rung.training.distillation.synthetic import MadeUp

# Behind the teacher's name in `labelled_by`: labels and text are the model's.
MARK = " (synthetic)"
# Of a label fewer examples than these say too little of what its texts look like.
_FEWEST_EXAMPLES = 3


@dataclass(frozen=True)
class Synthetic:
    """Made-up rows: text and label of each. facts: for distill.json. left_out: labels with too few examples."""

    rows: Sequence[tuple[str, str]] = ()
    facts: Sequence[dict[str, Any]] = ()
    left_out: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as distill.json has it, without the texts."""
        return {"rows": len(self.rows), "labels": list(self.facts), "left_out": list(self.left_out)}


def check_synthetic(wanted: int, inputs: Sequence[str], is_language_model: bool) -> None:
    """Raise RungError where rows cannot be made up: a bundle writes no texts, and a row of several columns is none."""
    if wanted and not is_language_model:
        raise RungError(
            "a bundle cannot make up rows",
            "--synthetic",
            "Name a language model as teacher, or leave it out.",
        )
    if wanted and len(inputs) != 1:
        raise RungError(
            f"rows of {len(inputs)} columns cannot be made up",
            "--synthetic",
            "It is for products that read one text.",
        )


def synthetic_rows(
    wanted: int,
    client: LlmClient,
    ask: Callable[[Sequence[str]], list[Prediction]],
    people: Sequence[tuple[str, str]],
    taught: Sequence[tuple[str, str]],
    others: Sequence[str],
    labels: Sequence[str],
) -> Synthetic:
    """Return rows for each label that has fewer than `wanted` among those of people and teacher, until it has as many.

    people, taught: (text, label). others: texts that no new one may copy. ask: what the teacher says of texts. Only texts of people are shown as examples.
    """
    from rung.training.distillation.synthetic import make_up

    counts = Counter(label for _, label in [*people, *taught])
    known = [text for text, _ in [*people, *taught]] + list(others)
    rows: list[tuple[str, str]] = []
    made: list[MadeUp] = []
    left_out = []
    for label in labels:
        missing = wanted - counts[label]
        if missing <= 0:
            continue
        examples = [text for text, given in people if given == label]
        if len(examples) < _FEWEST_EXAMPLES:
            left_out.append(label)
            continue
        found = make_up(client, label, examples, missing, known, ask)
        made.append(found)
        known += found.texts
        rows += [(text, label) for text in found.texts]
        if found.spent:
            break
    facts = [{**asdict(one), "texts": len(one.texts)} for one in made]
    return Synthetic(rows, facts, left_out)
