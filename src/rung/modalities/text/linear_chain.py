"""A linear chain over tokens in numpy: the likeliest tags of a sequence, and how sure each is.

The weights are those of a conditional random field (Lafferty, McCallum & Pereira 2001), fitted elsewhere; what ships is a
table of features and one of transitions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rung.core.errors import BundleError

Floats = npt.NDArray[np.float64]
_WEIGHTS, _NAMES = "chain.safetensors", "chain.json"
_NEVER = -1e9


class LinearChain:
    """Scores of features by tag, and of one tag after another."""

    def __init__(
        self,
        tags: Sequence[str],
        features: Sequence[str],
        weights: npt.NDArray[np.float32],
        transitions: Floats,
    ) -> None:
        """weights: [features, tags]. transitions: [tags, tags], from a row's tag to a column's."""
        self.tags, self.features = tuple(tags), tuple(features)
        self.weights = np.asarray(weights, dtype=np.float32)
        self.transitions = np.where(_allowed(self.tags), transitions, _NEVER)
        self._row = {feature: row for row, feature in enumerate(self.features)}
        self._first = np.where([tag.startswith("I-") for tag in self.tags], _NEVER, 0.0)

    def emissions(self, tokens: Sequence[Sequence[str]]) -> Floats:
        """Return the score of each tag at each token, [tokens, tags]. tokens: the features of each."""
        found = np.zeros((len(tokens), len(self.tags)))
        known = self._row
        for place, features in enumerate(tokens):
            rows = [known[feature] for feature in features if feature in known]
            if rows:
                found[place] = self.weights[rows].sum(axis=0, dtype=np.float64)
        return found

    def decode(self, tokens: Sequence[Sequence[str]]) -> tuple[list[str], Floats]:
        """Return the likeliest sequence of tags (Viterbi), and the probability of each of them at its place."""
        if not tokens:
            return [], np.zeros(0)
        scores = self.emissions(tokens)
        scores[0] += self._first
        best, back = scores[0], np.zeros(scores.shape, dtype=np.int64)
        for place in range(1, len(scores)):
            ways = best[:, None] + self.transitions
            back[place] = ways.argmax(axis=0)
            best = ways.max(axis=0) + scores[place]
        path = [int(best.argmax())]
        for place in range(len(scores) - 1, 0, -1):
            path.append(int(back[place, path[-1]]))
        path.reverse()
        chances = self._marginals(scores)
        return [self.tags[tag] for tag in path], chances[np.arange(len(path)), path]

    def _marginals(self, scores: Floats) -> Floats:
        """Return the probability of each tag at each place, [tokens, tags] (forward and backward sums, scaled)."""
        moves = np.exp(np.maximum(self.transitions, -700.0) - self.transitions.max())
        moves[self.transitions <= _NEVER] = 0.0
        local = np.exp(np.maximum(scores - scores.max(axis=1, keepdims=True), -700.0))
        forward, backward = np.zeros(scores.shape), np.ones(scores.shape)
        forward[0] = local[0] / local[0].sum()
        for place in range(1, len(scores)):
            step = (forward[place - 1] @ moves) * local[place]
            forward[place] = step / max(step.sum(), 1e-300)
        for place in range(len(scores) - 2, -1, -1):
            step = moves @ (local[place + 1] * backward[place + 1])
            backward[place] = step / max(step.sum(), 1e-300)
        both = forward * backward
        return np.asarray(both / np.maximum(both.sum(axis=1, keepdims=True), 1e-300))

    def save(self, folder: Path) -> None:
        """Write the tables as safetensors and JSON."""
        from safetensors.numpy import save_file

        save_file(
            {"weights": self.weights, "transitions": self.transitions.astype(np.float32)},
            folder / _WEIGHTS,
        )
        names = {"tags": self.tags, "features": self.features}
        text = json.dumps(names, ensure_ascii=False)
        (folder / _NAMES).write_text(text, encoding="utf-8", errors="replace")

    @classmethod
    def load(cls, folder: Path) -> LinearChain:
        """Return what `save` wrote; raises BundleError where the tables do not fit each other."""
        from safetensors.numpy import load_file

        arrays = load_file(folder / _WEIGHTS)
        names = json.loads((folder / _NAMES).read_text(encoding="utf-8"))
        tags, features = names["tags"], names["features"]
        fits = arrays["weights"].shape == (len(features), len(tags))
        if not fits or arrays["transitions"].shape != (len(tags), len(tags)):
            raise BundleError(
                "the tables of the tagger do not fit each other", folder.name, "Build it again."
            )
        return cls(tags, features, arrays["weights"], arrays["transitions"].astype(np.float64))


def _allowed(tags: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which tag may follow which: the inside of a value follows its beginning or its inside."""
    return np.array(
        [
            [not to.startswith("I-") or (before[:2] in {"B-", "I-"} and before[2:] == to[2:]) for to in tags]
            for before in tags
        ]
    )
