"""Hash the word and character n-grams of many texts at once, in numpy.

Every n-gram is a run of code points, so a prefix sum of c[i] * B**i (mod 2**64) gives the hash of any of them
in constant time (Rabin & Karp 1987), and a batch is hashed without a Python loop over characters. Chinese,
Japanese and Thai need no word segmentation: each character is a word, and longer n-grams cover combinations.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rung.core.types import Columns

UInts = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
_Found = tuple[Ints, UInts, Ints]
_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)
_MASK = (1 << 64) - 1
# N-grams are identified by this many bits of their hash: 16 million buckets, so few of a million collide.
BITS = 24
# Characters in a batch: eight times more is 10 % faster and takes 150 MB.
_BATCH_CHARS = 1 << 16
# Longer texts are cut: a pasted book must not block a server.
MAX_CHARS = 200_000
# Full-width punctuation of Chinese text: replacing it first lets NFKC take its fast path for most text. No
# following mark composes with the replacements, so the order of the two steps makes no difference.
_MARKS = tuple(zip("，！？：；（）", ",!?:;()", strict=True))
_SEPARATOR, _LETTER, _WORD = 0, 1, 2


@dataclass(frozen=True)
class NgramSpec:
    """Which n-grams are counted: runs of up to `word_max` words, and of `char_min` to `char_max` characters.

    0 disables a kind. Characters are counted inside blank-separated tokens padded with a blank on both sides,
    as in scikit-learn's `char_wb`.
    """

    word_max: int = 2
    char_min: int = 0
    char_max: int = 0


@dataclass(frozen=True)
class Occurrences:
    """All n-grams of a batch: row, bucket in [0, 2**BITS), and the characters [start, end) it covers."""

    rows: Ints
    buckets: Ints
    starts: Ints
    ends: Ints


def join_fields(inputs: Columns) -> list[str]:
    """Return one text a row: its fields joined by line breaks."""
    columns = list(inputs.values())
    if len(columns) == 1:
        return ["" if cell is None else str(cell) for cell in columns[0]]
    return ["\n".join(str(cell) for cell in row if cell is not None) for row in zip(*columns, strict=True)]


def normalize_text(text: str) -> str:
    """Return the text as features see it: NFKC, lower case, single blanks, at most MAX_CHARS characters."""
    text = text[:MAX_CHARS]
    if not text.isascii():
        for wide, narrow in _MARKS:
            text = text.replace(wide, narrow)
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.lower().split())


def batches(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield [from, to) ranges of rows with about _BATCH_CHARS characters each."""
    begin = held = 0
    for index, text in enumerate(texts):
        held += len(text) + 1
        if held > _BATCH_CHARS:
            yield begin, index + 1
            begin, held = index + 1, 0
    if begin < len(texts):
        yield begin, len(texts)


def occurrences(texts: Sequence[str], spec: NgramSpec) -> Occurrences:
    """Return every n-gram of normalised texts; spans index `" " + " ".join(texts) + " "`.

    A text's n-grams do not depend on its neighbours: a window that begins at the blank before a text belongs
    to that text, and none extends over a blank into the next one.
    """
    codes = np.frombuffer((" " + " ".join(texts) + " ").encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    lengths = np.fromiter((len(text) + 1 for text in texts), dtype=np.int64, count=len(texts))
    row_of = np.append(np.repeat(np.arange(len(texts)), lengths), max(len(texts) - 1, 0))
    powers, inverses = _powers(1 << max(12, len(codes).bit_length()))
    prefix = np.zeros(len(codes) + 1, dtype=np.uint64)
    np.cumsum((codes + np.uint64(1)) * powers[: len(codes)], out=prefix[1:])

    found: list[_Found] = []
    if spec.word_max:
        found.extend(_word_ngrams(codes, prefix, inverses, row_of, spec.word_max))
    if spec.char_max:
        found.extend(_char_ngrams(codes, prefix, inverses, spec))
    starts = np.concatenate([f[0] for f in found])
    hashes = np.concatenate([f[1] for f in found])
    ends = np.concatenate([f[2] for f in found])
    return Occurrences(row_of[starts], (hashes >> np.uint64(64 - BITS)).astype(np.int64), starts, ends)


def word_spans(text: str) -> list[tuple[int, int]]:
    """Return [start, end) of each word of a normalised text; an ideograph is a word of its own."""
    codes = np.frombuffer(f" {text} ".encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    starts, ends = _words(codes)
    return [(int(start) - 1, int(end) - 1) for start, end in zip(starts, ends, strict=True)]


def is_one_char_word(codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
    """Return which code points are words by themselves: ideographs, kana, Thai letters, emoji."""
    return np.asarray(char_classes()[codes] == _WORD)


def _word_ngrams(
    codes: npt.NDArray[np.uint32], prefix: UInts, inverses: UInts, row_of: Ints, most: int
) -> Iterator[_Found]:
    starts, ends = _words(codes)
    words = _mix((prefix[ends] - prefix[starts]) * inverses[starts], 1)
    yield starts, words, ends
    rows, chain = row_of[starts], words
    for size in range(2, most + 1):
        count = len(starts) - size + 1
        if count <= 0:
            return
        chain = _mix(chain[:count] * np.uint64(_BASE) + words[size - 1 :], size)
        inside = rows[size - 1 :] == rows[:count]
        yield starts[:count][inside], chain[inside], ends[size - 1 :][inside]


def _words(codes: npt.NDArray[np.uint32]) -> tuple[Ints, Ints]:
    kinds = char_classes()[codes]
    edges = np.diff((kinds == _LETTER).astype(np.int8))
    starts, ends = np.flatnonzero(edges == 1) + 1, np.flatnonzero(edges == -1) + 1
    single = np.flatnonzero(kinds == _WORD)
    if len(single):
        starts, ends = np.concatenate([starts, single]), np.concatenate([ends, single + 1])
        order = np.argsort(starts, kind="stable")
        starts, ends = starts[order], ends[order]
    return starts, ends


def _char_ngrams(
    codes: npt.NDArray[np.uint32], prefix: UInts, inverses: UInts, spec: NgramSpec
) -> Iterator[_Found]:
    blanks = np.zeros(len(codes) + 1, dtype=np.int32)
    np.cumsum(codes == 32, out=blanks[1:])
    for size in range(spec.char_min, spec.char_max + 1):
        count = len(codes) - size + 1
        if size == 1:
            starts = np.flatnonzero(codes != 32)
        elif count > 0:
            # A window may have a blank as its first or last character, not inside.
            starts = np.flatnonzero(blanks[size - 1 : size - 1 + count] == blanks[1 : 1 + count])
        else:
            return
        hashes = (prefix[starts + size] - prefix[starts]) * inverses[starts]
        yield starts, _mix(hashes, 100 + size), starts + size


def _mix(values: UInts, salt: int) -> UInts:
    """Return well-mixed hashes (the finaliser of splitmix64); the salt separates kinds of n-grams."""
    mixed = values + np.uint64((salt * 0xD1B54A32D192ED03) & _MASK)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


@lru_cache(maxsize=24)
def _powers(length: int) -> tuple[UInts, UInts]:
    """Return B**i and B**-i for i < length, mod 2**64."""
    out = []
    for factor in (_BASE, _INVERSE):
        steps = np.full(length, factor, dtype=np.uint64)
        steps[0] = 1
        out.append(np.multiply.accumulate(steps))
    return out[0], out[1]


@lru_cache(maxsize=1)
def char_classes() -> npt.NDArray[np.uint8]:
    """Return the class of each code point: separator, letter of a word, or a word by itself."""
    table = np.full(0x110000, _LETTER, dtype=np.uint8)
    for code in range(0x3000):
        char = chr(code)
        table[code] = char.isalnum() or char == "_" or unicodedata.category(char)[0] == "M"
    punctuation = ((0x3000, 0x3004), (0x3008, 0x3020), (0x3030, 0x3030), (0xE000, 0xF8FF), (0xFE00, 0xFE6F))
    for low, high in punctuation:
        table[low : high + 1] = _SEPARATOR
    # Scripts without spaces between words, and emoji, which carry sentiment one by one.
    unspaced = (
        (0x0E00, 0x0E7F),
        (0x3040, 0x30FF),
        (0x3400, 0x4DBF),
        (0x4E00, 0x9FFF),
        (0xF900, 0xFAFF),
        (0x20000, 0x323AF),
    )
    emoji = ((0x2600, 0x27BF), (0x1F300, 0x1FAFF))
    for low, high in unspaced + emoji:
        table[low : high + 1] = _WORD
    return table
