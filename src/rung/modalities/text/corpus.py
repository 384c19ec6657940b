"""Make prompts and texts of a corpus: the first part of a document is the prompt, the rest what is to be written.

A long document becomes passages, each with the end of the one before as its prompt; they are one unit of a certificate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from rung.modalities.text.ideographs import is_ideograph
from rung.modalities.text.sentences import split_sentences

# Characters of a passage, about, and of the prompt of one that is not the first, at most.
_PASSAGE, _PROMPT = 800, 200


class Passage(NamedTuple):
    """A prompt and what came after it."""

    prompt: str
    text: str


def passages(document: str) -> Iterator[Passage]:
    """Yield the passages of a document; none where it has a single word.

    The first prompt is the first sentence or line; of a document with one sentence, its first half.
    """
    sentences = split_sentences(document.strip())
    if not sentences:
        return
    if len(sentences) == 1:
        yield from _halves(sentences[0])
        return
    prompt, text = sentences[0], ""
    for sentence in sentences[1:]:
        text += sentence
        if len(text) >= _PASSAGE:
            yield Passage(prompt, text)
            prompt, text = text[-_PROMPT:], ""
    if text.strip():
        yield Passage(prompt, text)


def document_key(document: str) -> str:
    """Return what tells a document from others: passages of one stay on one side of the split."""
    return hashlib.sha256(document.strip().encode("utf-8", "replace")).hexdigest()[:16]


def _halves(sentence: str) -> Iterator[Passage]:
    """Yield the halves of one sentence, cut between words where it has blanks."""
    middle = len(sentence) // 2
    blank = sentence.rfind(" ", 0, middle + 1)
    cut = blank + 1 if blank > 0 else middle if is_ideograph(sentence[middle]) else 0
    if sentence[:cut].strip() and sentence[cut:].strip():
        yield Passage(sentence[:cut], sentence[cut:])
