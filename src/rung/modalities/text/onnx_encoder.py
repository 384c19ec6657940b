"""Run a sentence encoder in ONNX Runtime: texts in, normalised embeddings out."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.core.activity import doing, note
from rung.core.errors import DataError, MissingExtra, RungError
from rung.modalities.text.tokenize import token_ids
from rung.runtime.onnx.session import open_session, run_session

Float = NDArray[np.float32]

# Name of the output with several layers concatenated.
LAYERS = "layers"
_WINDOW = 8192  # texts tokenised and grouped at a time: bounds memory
_BATCH_TOKENS = 512  # beyond this, activations leave the processor's cache and the rate falls
_CHARACTERS_PER_TOKEN = (
    6  # average characters of a token, rarely exceeded; if so, the text is tokenised again
)
_CUT_MARGIN = 16  # tokens near a cut may differ from those of the whole text
_MAX_CHUNKS = 8
_TOLERANCE = 1e-4  # relative to the largest value: more than rounding
_HUB_OUTPUTS = ("embedding", "sentence_embedding", "last_hidden_state")


@dataclass(frozen=True)
class EncoderConfig:
    """The content of `encoder.json`, which lies beside `model.onnx` and `tokenizer.json`.

    id: changes whenever an embedding could (the embedding cache uses it as key); pooling: 'mean' or 'cls';
    max_tokens: of one text, special tokens included; prefix: what the model expects before every text;
    layers: number of layers that the `layers` output concatenates; alone: the embedding of a text depends on
    the other texts in its batch, as with onnxruntime's dynamic quantisation, so each text runs in a batch of
    its own.
    """

    id: str
    width: int
    pooling: str
    max_tokens: int
    prefix: str = ""
    layers: int = 1
    alone: bool = False
    variant: str = ""
    licence: str = ""
    source: str = ""

    @classmethod
    def read(cls, folder: Path) -> EncoderConfig:
        """Return the configuration of a folder. Raises RungError when it is missing or wrong."""
        path = folder / "encoder.json"
        try:
            given = json.loads(path.read_text(encoding="utf-8"))
            config = cls(**{field.name: given[field.name] for field in fields(cls) if field.name in given})
        except (OSError, ValueError, TypeError) as error:
            raise RungError(
                f"no usable encoder.json: {error}", str(folder), "Export the encoder again."
            ) from error
        if config.pooling not in ("mean", "cls") or config.max_tokens < 3:
            raise RungError(
                "pooling must be 'mean' or 'cls', max_tokens at least 3.", str(path), "Correct it."
            )
        return config

    def write(self, folder: Path) -> None:
        """Write `encoder.json`."""
        (folder / "encoder.json").write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def embedding_output(names: Sequence[str]) -> str:
    """Return which of a graph's outputs is the embedding."""
    return next((name for name in _HUB_OUTPUTS if name in names), names[0])


class OnnxEncoder:
    """A sentence encoder. Texts of equal length form a batch, so nothing is padded.

    Each thread runs whole batches: an embedding does not depend on the number of threads, nor, for graphs
    that rung wrote, on the other texts by more than rounding.
    """

    def __init__(self, opened: tuple[Any, Path], tokenizer: Any, config: EncoderConfig, threads: int) -> None:
        """opened: a session and its file."""
        self.config = config
        self.threads = threads
        session, _ = self._session = opened
        self._tokenizer = tokenizer
        self._inputs = {item.name for item in session.get_inputs()}
        names = [item.name for item in session.get_outputs()]
        self._output = embedding_output(names)
        ends = tokenizer.encode("").ids
        self._head, self._tail = ends[:1], ends[1:]

    @classmethod
    def open(cls, folder: Path | str, threads: int = 1) -> OnnxEncoder:
        """Return the encoder of a folder with model.onnx, tokenizer.json and encoder.json.

        Raises MissingExtra without onnxruntime or tokenizers, RungError when a file is missing.
        """
        folder = Path(folder)
        # The tokenizer's thread pool reads this once; by default it uses all cores.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "true" if threads > 1 else "false")
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingExtra("a sentence encoder", "build", str(error.name)) from None
        config = EncoderConfig.read(folder)
        for name in ("model.onnx", "tokenizer.json"):
            if not (folder / name).is_file():
                raise RungError(f"{name} is missing.", str(folder), "Export the encoder again.")
        path = folder / "model.onnx"
        session = open_session(path, path.name)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return cls((session, path), tokenizer, config, max(1, threads))

    @property
    def full_width(self) -> int:
        """Return the width of the concatenated layers."""
        return self.config.width * self.config.layers

    def encode(
        self,
        texts: Sequence[str],
        prefix: str | None = None,
        pool_chunks: bool = False,
        all_layers: bool = False,
    ) -> Float:
        """Return float32 [rows, width], each row of length 1.

        all_layers: return [rows, full_width], as features for a head; the default is the embedding for
        comparing texts. prefix: put before every text; None uses the folder's. pool_chunks: read up to 8
        chunks of max_tokens of a long text and average them by tokens, instead of the first chunk only.
        Raises DataError for a row that is not text.
        """
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise DataError(
                    f"expected text, not {type(text).__name__}.", f"row {row}", "Remove or fill such rows."
                )
        before = self.config.prefix if prefix is None else prefix
        chunks = _MAX_CHUNKS if pool_chunks else 1
        deep = all_layers and self.config.layers > 1
        summed = np.zeros((len(texts), self.full_width if deep else self.config.width), np.float32)
        forward = partial(self._run, output=LAYERS if deep else self._output)
        pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None
        with pool or nullcontext(), doing("encode", len(texts)):
            done = 0
            run = pool.map if pool else map
            for start in range(0, len(texts), _WINDOW):
                tokens = self._tokenise([before + text for text in texts[start : start + _WINDOW]], chunks)
                batches = list(self._batches(tokens))
                embedded = run(forward, [ids for _, ids in batches])
                for (rows, ids), vectors in zip(batches, embedded, strict=True):
                    places, weighted = np.asarray(rows) + start, vectors * np.float32(ids.shape[1])
                    if chunks == 1:
                        summed[places] = weighted
                    else:  # A batch can hold several chunks of one text, so rows can repeat.
                        np.add.at(summed, places, weighted)
                    done += len(rows)
                    note(min(done, len(texts)))
        lengths = np.linalg.norm(summed, axis=1, keepdims=True)
        normalised: Float = summed / np.maximum(lengths, 1e-12)
        return normalised

    def depends_on_neighbours(self, texts: Sequence[str]) -> bool:
        """Return whether a text's embedding changes with the other texts in its batch."""
        ids = [item for text in texts for item in token_ids(self._tokenizer, [text])[0]]
        width = min(12, len(ids) // 4)
        rows = np.array([ids[start : start + width] for start in range(0, 4 * width, width)], np.int64)
        together = self._run(rows, self._output)
        each = np.concatenate([self._run(row[None], self._output) for row in rows])
        return bool(np.abs(together - each).max() > _TOLERANCE * np.abs(each).max())

    def _tokenise(self, texts: list[str], chunks: int) -> list[list[int]]:
        """Return the ids of each text without special tokens, at most `chunks` times the model's length."""
        max_ids = chunks * (self.config.max_tokens - len(self._head) - len(self._tail))
        cut = (max_ids + _CUT_MARGIN) * _CHARACTERS_PER_TOKEN
        ids = token_ids(self._tokenizer, [text[:cut] for text in texts])
        short = [
            row for row, item in enumerate(ids) if len(texts[row]) > cut and len(item) < max_ids + _CUT_MARGIN
        ]
        if short:
            retokenised = token_ids(self._tokenizer, [texts[row] for row in short])
            for row, item in zip(short, retokenised, strict=True):
                ids[row] = item
        return [item[:max_ids] for item in ids]

    def _batches(self, tokens: list[list[int]]) -> Iterator[tuple[list[int], NDArray[np.int64]]]:
        """Yield (row of each text, ids [texts, tokens]); texts of a batch have equal length, longest first."""
        room = self.config.max_tokens - len(self._head) - len(self._tail)
        by_length: dict[int, list[tuple[int, list[int]]]] = defaultdict(list)
        for row, ids in enumerate(tokens):
            for start in range(0, max(1, len(ids)), room):
                chunk = self._head + ids[start : start + room] + self._tail
                by_length[len(chunk)].append((row, chunk))
        for length in sorted(by_length, reverse=True):
            group = by_length[length]
            size = 1 if self.config.alone else max(1, _BATCH_TOKENS // length)
            for start in range(0, len(group), size):
                part = group[start : start + size]
                yield [row for row, _ in part], np.array([ids for _, ids in part], np.int64)

    def _run(self, ids: NDArray[np.int64], output: str) -> Float:
        feed = {"input_ids": ids}
        if "attention_mask" in self._inputs:
            feed["attention_mask"] = np.ones_like(ids)
        if "token_type_ids" in self._inputs:
            feed["token_type_ids"] = np.zeros_like(ids)
        found: Float = run_session(*self._session, [output], feed)[0]
        if found.ndim == 3:
            found = found.mean(axis=1) if self.config.pooling == "mean" else found[:, 0]
        return found
