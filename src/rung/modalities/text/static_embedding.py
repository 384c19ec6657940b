"""Static token embeddings: a text is the mean of its token vectors, computed from cached sums of whole words."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.core.errors import DataError, MissingExtra, RungError
from rung.modalities.text.tokenize import token_ids, vocabulary_of

Float = NDArray[np.float32]

_SPACE = "\u2581"
_MAX_STEPS = 16  # words with more tokens are summed one by one
_WINDOW = 2048  # texts processed at a time: bounds memory
_MAX_WORDS = 200_000  # cached words (1 kB each at width 256); beyond, the cache is cleared
_MAX_CHARS = 20_000_000  # in all cached words: a text without spaces is one long word


class StaticEmbedding:
    """Mean of static token vectors. The sum over the tokens of each word is cached, so texts are read by
    words.

    The result equals that of the packaged loader, because no token of such a vocabulary spans a space; this
    is checked when the embedding is opened.
    """

    def __init__(self, table: Float, tokenizer: Any) -> None:
        self.width = int(table.shape[1])
        self._table = table
        self._tokenizer = tokenizer
        self._space_id = tokenizer.token_to_id(_SPACE)
        self._lock = threading.Lock()
        self._clear_cache()

    @classmethod
    def open(cls, folder: Path | str) -> StaticEmbedding:
        """Return the embedding of a folder with embedding.safetensors ([vocabulary, width]) and
        tokenizer.json.

        Raises MissingExtra without tokenizers, RungError when the files cannot be used.
        """
        try:
            from safetensors.numpy import load_file
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingExtra("static embedding", "build", str(error.name)) from None
        folder = Path(folder)
        try:
            tensors = load_file(folder / "embedding.safetensors")
            settings = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        except OSError as error:
            raise RungError(
                f"cannot read the static embedding: {error}", str(folder), "Fetch it again."
            ) from error
        tables = [tensor for tensor in tensors.values() if tensor.ndim == 2]
        if len(tables) != 1:
            raise RungError("expected exactly one table of token vectors.", str(folder), "Name another file.")
        if any(_SPACE in token.lstrip(_SPACE) for token, _ in vocabulary_of(settings)):
            raise RungError("tokens of this vocabulary span spaces.", str(folder), "Name another model.")
        tokenizer = Tokenizer.from_str(json.dumps({**settings, "padding": None, "truncation": None}))
        return cls(np.asarray(tables[0], dtype=np.float32), tokenizer)

    @property
    def table(self) -> Float:
        """Return the token vectors [vocabulary, width]."""
        return self._table

    def encode(self, texts: Sequence[str], normalise: bool = True) -> Float:
        """Return float32 [rows, width]; rows have length 1 unless `normalise` is off.

        Raises DataError for a row that is not text.
        """
        result = np.empty((len(texts), self.width), np.float32)
        for start in range(0, len(texts), _WINDOW):
            part = texts[start : start + _WINDOW]
            for row, text in enumerate(part, start):
                if not isinstance(text, str):
                    raise DataError(
                        f"expected text, not {type(text).__name__}.", f"row {row}", "Remove such rows."
                    )
            result[start : start + len(part)] = self._means(part)
        if normalise:
            result /= np.maximum(np.linalg.norm(result, axis=1, keepdims=True), 1e-12)
        return result

    def _clear_cache(self) -> None:
        # A new word gets the next number while it is looked up.
        self._numbers: defaultdict[str, int] = defaultdict(count().__next__)
        self._cached_chars = 0
        self._sums = np.zeros((1024, self.width), np.float32)
        self._counts = np.zeros(1024, np.float32)

    def _means(self, texts: Sequence[str]) -> Float:
        words = [split_words(text) for text in texts]
        lengths = [len(item) for item in words]
        sums = np.zeros((len(texts), self.width), np.float32)
        counts = np.ones(len(texts), np.float32)
        with self._lock:
            numbers = self._word_numbers(words)
            end = 0
            for row, length in enumerate(lengths):
                # The vectors of one text fit the processor's cache; those of all texts do not.
                start, end = end, end + length
                if length:
                    part = numbers[start:end]
                    np.add.reduce(self._sums[part], axis=0, out=sums[row])
                    counts[row] = max(1.0, self._counts[part].sum())
        sums /= counts[:, None]
        return sums

    def _word_numbers(self, words: list[list[str]]) -> NDArray[np.int64]:
        """Return the numbers of all words in order; vectors of new words are computed before it returns."""
        if len(self._numbers) > _MAX_WORDS or self._cached_chars > _MAX_CHARS:
            self._clear_cache()
        first = len(self._numbers)
        try:
            found = np.fromiter(map(self._numbers.__getitem__, chain.from_iterable(words)), np.int64)
            # From the end: a dictionary is walked from one end only, and the cached words would be walked at each call.
            new = list(islice(reversed(self._numbers), len(self._numbers) - first))
            self._add_words(new[::-1], first)
        except BaseException:
            self._clear_cache()  # numbers without vectors would be read as zeros
            raise
        return found

    def _add_words(self, words: list[str], first: int) -> None:
        if not words:
            return
        encoded = token_ids(self._tokenizer, words)
        # Some vocabularies have no token of a space: there it says nothing.
        space = [] if self._space_id is None else [self._space_id]
        ids = [item if word else space for word, item in zip(words, encoded, strict=True)]
        end = first + len(words)
        if end > len(self._counts):
            more = max(end, 2 * len(self._counts)) - len(self._counts)
            self._sums = np.concatenate([self._sums, np.zeros((more, self.width), np.float32)])
            self._counts = np.concatenate([self._counts, np.zeros(more, np.float32)])
        self._counts[first:end] = [len(item) for item in ids]
        self._sums[first:end] = _sum_rows(self._table, ids)
        self._cached_chars += sum(map(len, words))


def _sum_rows(table: Float, ids: list[list[int]]) -> Float:
    """Return the sum of the table's rows for each list of ids: [lists, width]."""
    order = sorted(range(len(ids)), key=lambda number: -len(ids[number]))
    sums = np.zeros((len(ids), table.shape[1]), np.float32)
    rows = [ids[number] for number in order]  # longest first
    long = next((number for number, row in enumerate(rows) if len(row) <= _MAX_STEPS), len(rows))
    for number in range(long):
        sums[number] = table[rows[number]].sum(axis=0)
    # All first tokens in one step, then all second ones of lists that have two, and so on.
    for step in range(_MAX_STEPS):
        column = [row[step] for row in rows[long:] if len(row) > step]
        if not column:
            break
        sums[long : long + len(column)] += table[column]
    unsorted = np.empty_like(sums)
    unsorted[order] = sums
    return unsorted


def split_words(text: str) -> list[str]:
    """Return the words of a text, split so that tokenising each word alone gives the tokens of the whole
    text.

    Splits at single spaces; further spaces of a run stay in front of the next word; an empty word is one
    space at the end of the text.
    """
    if not text:
        return []
    if "  " not in text and text[0] != " " and text[-1] != " ":
        return text.split(" ")
    words: list[str] = []
    spaces = 0
    for piece in text.split(" "):
        if piece:
            words.append(" " * spaces + piece)
            spaces = 0
        else:
            spaces += 1
    if spaces:
        words.append(" " * (spaces - 1))
    return words
