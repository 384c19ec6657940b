"""Base class of trained networks over token ids: an ONNX graph, its tokenizer, and calibrated probabilities."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from rung.core.errors import MissingExtra
from rung.core.model import Cost, DataFacts, FitContext, Reason
from rung.core.types import Columns, Schema
from rung.modalities.text.ngrams import join_fields
from rung.modalities.text.tokenize import replace_lone_surrogates, token_ids
from rung.runtime.linear.head import Calibration
from rung.runtime.onnx.session import OnnxFile
from rung.runtime.onnx.trained_network import MODEL_FILE, TrainedNetwork, read_facts

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_TOKENIZER = "tokenizer.json"
# Tokens of a batch with padding. Lengths are rounded up to a multiple of the step, so that texts share a batch; a text's
# padding depends on its own length alone.
_BATCH_TOKENS, _LENGTH_STEP = 4096, 8
# Characters read for each token that a network takes: bounds the time of a text without spaces.
_CHARS_PER_TOKEN = 24


@dataclass(frozen=True)
class TextInputs:
    """How texts become token ids. max_tokens: of one text. tail: how many of them come from its end, where a text is
    longer. before, after: special tokens around it. padded: whether the graph has a mask for padding.
    """

    max_tokens: int
    tail: int = 0
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    prefix: str = ""
    padded: bool = True


class NetworkFiles:
    """A network that can answer: the content of its ONNX file, its tokenizer and how texts become token ids."""

    def __init__(self, content: bytes, tokenizer: str, inputs: TextInputs, where: str = MODEL_FILE) -> None:
        self.content = content
        self.tokenizer_json = tokenizer
        self.inputs = inputs
        self._tokenizer = open_tokenizer(tokenizer)
        self._file = OnnxFile(Path(MODEL_FILE), content, where)

    def logits(self, texts: Sequence[str]) -> Floats:
        """Return [rows, labels]."""
        ids = encode_texts(self._tokenizer, texts, self.inputs)
        found: list[npt.NDArray[np.float32]] = []
        places: list[int] = []
        for rows, feed in _batches(ids, self.inputs.padded):
            found.append(self._file.run("logits", feed))
            places += rows
        if not found:
            return np.zeros((0, 0))
        joined = np.concatenate(found).astype(np.float64)
        joined[places] = joined.copy()
        return joined


class NetworkModel(TrainedNetwork):
    """A trained network over token ids."""

    TASKS = frozenset({"text_classification", "text_multilabel"})

    def __init__(
        self,
        labels: tuple[str, ...],
        network: NetworkFiles,
        calibration: Calibration,
        chosen: Mapping[str, Any],
    ) -> None:
        super().__init__(labels, calibration, chosen)
        self._network = network

    def logits(self, inputs: Columns) -> Floats:
        return self._scores(join_fields(inputs))

    def _scores(self, texts: Sequence[str]) -> Floats:
        return self._network.logits(texts).reshape(len(texts), len(self.labels))

    def explain(self, inputs: Columns, most: int = 8) -> list[list[Reason]]:
        """Return the words whose removal lowers the label's score most."""
        from rung.modalities.text.occlusion import explain_by_occlusion

        return [explain_by_occlusion(text, self._scores, most) for text in join_fields(inputs)]

    def save(self, folder: Path) -> None:
        (folder / MODEL_FILE).write_bytes(self._network.content)
        (folder / _TOKENIZER).write_text(self._network.tokenizer_json, encoding="utf-8")
        self.write_facts(folder, "inputs", asdict(self._network.inputs))

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        given, calibration, chosen = read_facts(folder, "inputs", len(schema.classes))
        inputs = TextInputs(**{**given, "before": tuple(given["before"]), "after": tuple(given["after"])})
        tokenizer = (folder / _TOKENIZER).read_text(encoding="utf-8")
        network = NetworkFiles((folder / MODEL_FILE).read_bytes(), tokenizer, inputs)
        return cls(schema.classes, network, calibration, chosen)


class ScratchNetwork(NetworkModel):
    """A network trained from scratch. TRAINING_SECONDS, ANSWER_SECONDS: CPU time of a token in one epoch, and in an answer."""

    VALIDATION_SHARE = 0.1
    TRAINING_SECONDS: ClassVar[float]
    ANSWER_SECONDS: ClassVar[float]

    @classmethod
    def cost(cls, facts: DataFacts, params: Any, context: FitContext) -> Cost:
        tokens = min(facts.chars_per_row / 3.5, float(params.max_tokens))
        each = 5e-5 + facts.chars_per_row * 3e-7 + tokens * cls.ANSWER_SECONDS
        fit = 4.0 + facts.rows * (1e-4 + params.epochs * tokens * cls.TRAINING_SECONDS)
        size = 17.0 if params.init != "random" else params.vocabulary_size * params.width * 2e-6
        return Cost(fit * (2.0 if params.refit else 1.0), each * 1000, 600.0, size + 2.0)


def open_tokenizer(text: str) -> Any:
    """Return the tokenizer of a tokenizer.json's content, set neither to pad nor to truncate."""
    # The tokenizer's thread pool reads this once; by default it uses all cores.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise MissingExtra("a network over texts", "build", "tokenizers") from None
    found = Tokenizer.from_str(text)
    found.no_padding()
    found.no_truncation()
    return found


def encode_texts(tokenizer: Any, texts: Sequence[str], inputs: TextInputs) -> list[list[int]]:
    """Return the token ids of each text, special tokens included; a text without tokens is the token 0."""
    room = max(inputs.max_tokens - len(inputs.before) - len(inputs.after), 1)
    most = room * _CHARS_PER_TOKEN
    shortened = [
        inputs.prefix + replace_lone_surrogates(_shorten(text, most, inputs.tail > 0)) for text in texts
    ]
    found = []
    for ids in token_ids(tokenizer, shortened):
        if len(ids) > room:
            ids = ids[: room - inputs.tail] + ids[len(ids) - inputs.tail :]
        found.append([*inputs.before, *(ids or [0]), *inputs.after])
    return found


def _shorten(text: str, most: int, with_tail: bool) -> str:
    """Return at most `most` characters of a text: its start, or its two ends."""
    if len(text) <= most:
        return text
    return text[: most // 2] + " " + text[len(text) - most // 2 :] if with_tail else text[:most]


def _batches(ids: list[list[int]], padded: bool) -> Iterator[tuple[list[int], dict[str, Ints]]]:
    """Yield (row numbers, feed); all rows of a batch have the same padded length."""
    step = _LENGTH_STEP if padded else 1
    by_length: dict[int, list[int]] = {}
    for row, own in enumerate(ids):
        by_length.setdefault(-(-len(own) // step) * step, []).append(row)
    for length, group in by_length.items():
        size = max(_BATCH_TOKENS // length, 1)
        for start in range(0, len(group), size):
            rows = group[start : start + size]
            tokens = np.zeros((len(rows), length), np.int64)
            mask = np.zeros_like(tokens)
            for place, row in enumerate(rows):
                tokens[place, : len(ids[row])], mask[place, : len(ids[row])] = ids[row], 1
            feed = {"input_ids": tokens}
            yield rows, feed | {"attention_mask": mask} if padded else feed
