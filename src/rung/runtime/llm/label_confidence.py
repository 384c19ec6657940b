"""How sure a language model is of a label, from the log-probabilities of the tokens that spell it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rung.runtime.llm.replies import TokenChoice

Probability = npt.NDArray[np.float64]


def label_probabilities(
    tokens: Sequence[TokenChoice], label: str, labels: Sequence[str]
) -> npt.NDArray[np.float64] | None:
    """Return the probability of each label, [labels], or None when the tokens do not spell the answered one.

    At each token of the label, the alternatives that begin some label share the probability; what the model would
    rather have said instead of any label does not count, as under constrained decoding. Servers report at most 20
    alternatives a place: a label none of them begins gets what is left over, evenly.
    """
    spelled = [json.dumps(each, ensure_ascii=False)[1:-1] for each in labels]
    wanted = spelled[list(labels).index(label)]
    text = "".join(token.text for token in tokens)
    begin = text.rfind(wanted)
    if begin < 0 or not wanted:
        return None
    found = np.zeros(len(labels))
    open_mass, place = 1.0, 0
    for token in tokens:
        end = place + len(token.text)
        if end > begin and place < begin + len(wanted):
            lead = token.text[: max(begin - place, 0)]
            known = text[begin : max(place, begin)]
            open_mass *= _share(token, lead, known, spelled, wanted, open_mass, found)
        place = end
    found[spelled.index(wanted)] += open_mass
    left = max(1.0 - found.sum(), 0.0)
    return np.asarray((found + left / len(labels)) / (found.sum() + left))


def _share(
    token: TokenChoice, lead: str, known: str, spelled: Sequence[str], wanted: str, mass: float,
    found: npt.NDArray[np.float64],
) -> float:  # fmt: skip
    """Return the chosen token's share of what begins some label; add the shares of the others to their labels."""
    options = {**token.others, token.text: token.logprob}
    begun: dict[str, tuple[float, list[int]]] = {}
    for text, logprob in options.items():
        if not text.startswith(lead) or len(text) == len(lead):
            continue
        so_far = known + text[len(lead) :]
        fits = [i for i, each in enumerate(spelled) if each.startswith(so_far) or so_far.startswith(each)]
        if fits:
            begun[text] = math.exp(min(logprob, 0.0)), fits
    total = math.fsum(chance for chance, _ in begun.values())
    if token.text not in begun or total <= 0:
        return 1.0
    for text, (chance, fits) in begun.items():
        if text != token.text:
            others = [i for i in fits if spelled[i] != wanted] or fits
            found[others] += mass * chance / total / len(others)
    return begun[token.text][0] / total


def mended(probabilities: Probability, temperature: float, mixed: float) -> Probability:
    """Return probabilities [rows, labels] after a temperature, mixed with even odds; the order of labels stays."""
    logits = np.log(np.maximum(probabilities, 1e-12)) / temperature
    raw = np.exp(logits - logits.max(axis=1, keepdims=True))
    raw /= raw.sum(axis=1, keepdims=True)
    return np.asarray((1.0 - mixed) * raw + mixed / probabilities.shape[1])
