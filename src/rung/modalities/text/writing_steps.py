"""The steps after decoding: sentence by sentence, so that a stream shows what the whole answer is.

Each step has a name, and a trace keeps the text before and after it, so that reports can say what it is worth.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from rung.core.spec.cleaning import DEFAULT_KINDS
from rung.modalities.text.ngrams import normalize_text
from rung.modalities.text.sentences import cut_at_word
from rung.modalities.text.writing_options import WritingOptions
from rung.modalities.text.writing_rules import WritingRules
from rung.privacy import find_personal_data
from rung.privacy.masking import RowMasker

# How often a sentence with a banned word is drawn again, and how many sentences in a row may come to nothing.
_REDRAWN, _MOST_DROPPED = 3, 6
# A phrase that follows itself at least twice more.
_LOOP = re.compile(r"(.{2,60}?)\1{2,}", re.DOTALL)


class SentenceSource(Protocol):
    """Gives the sentences of one text in order."""

    def next(self, again: int) -> tuple[str, bool] | None:
        """Return the sentence after those accepted, and whether the text ends with it.

        again: 0 for the first draw of it; each further number draws another one, None where there is none.
        """
        ...

    def accept(self) -> None:
        """Go on behind the sentence that `next` gave last."""
        ...


@dataclass
class Trace:
    """What became of a draft. stages: step -> its sentences after it; "draft" before any. finish: end, length or stop.

    personal: masked values by kind. redrawn, dropped: sentences.
    """

    stages: dict[str, list[str]] = field(default_factory=dict)
    finish: str = "end"
    personal: Counter[str] = field(default_factory=Counter)
    redrawn: int = 0
    dropped: int = 0

    def texts(self) -> dict[str, str]:
        """Return the text after each step."""
        return {name: "".join(parts).strip() for name, parts in self.stages.items()}


class Finisher:
    """Applies the steps of the rules to the sentences of one text."""

    def __init__(self, rules: WritingRules, options: WritingOptions) -> None:
        self._rules = rules
        self._most = min(rules.max_chars, options.max_chars)
        self._stop = options.stop
        self._seen: set[str] = set()
        self._masker = RowMasker(())
        self.trace = Trace({name: [] for name in ("draft", *rules.steps)})

    def pieces(self, source: SentenceSource) -> Iterator[str]:
        """Yield the finished text, sentence by sentence; joined it is the answer. See `trace` for what was done."""
        written, held, blanks, ended = 0, "", 0, False
        while not ended:
            drawn = source.next(0)
            if drawn is None:
                break
            sentence, ended = self._stopped(*drawn)
            self.trace.stages["draft"].append(sentence)
            kept, ended = self._finished(sentence, source, ended)
            source.accept()
            body = kept.strip()
            if not body:
                # Blanks at either end of a text are not part of it; a text that goes nowhere ends.
                held, blanks = held + kept if written else "", blanks + 1
                self.trace.dropped += bool(sentence.strip())
                if blanks >= _MOST_DROPPED:
                    self.trace.finish = "length"
                    return
                continue
            lead = kept[: len(kept) - len(kept.lstrip())]
            piece = (held + lead if written else "") + body
            piece, is_full = self._cut(piece, written)
            if piece:
                written, held, blanks = written + len(piece), kept[len(kept.rstrip()) :], 0
                self._note("length", piece)
                yield piece
            if is_full:
                # Whether the text would have gone on is not asked.
                self.trace.finish = self.trace.finish if ended and piece == body else "length"
                return

    def _cut(self, piece: str, written: int) -> tuple[str, bool]:
        """Return what of a piece has room, and whether the text is full with it."""
        if written + len(piece) <= self._most:
            return piece, written + len(piece) == self._most
        if "length" not in self._rules.steps:
            return piece, True
        return ("" if written else cut_at_word(piece, self._most).rstrip()), True

    def _note(self, step: str, text: str) -> None:
        if step in self.trace.stages:
            self.trace.stages[step].append(text)

    def _stopped(self, sentence: str, ended: bool) -> tuple[str, bool]:
        """Return the sentence up to a text that ends it, if it has one."""
        places = [place for place in map(sentence.find, self._stop) if place >= 0]
        if not places:
            return sentence, ended
        self.trace.finish = "stop"
        return sentence[: min(places)], True

    def _finished(self, sentence: str, source: SentenceSource, ended: bool) -> tuple[str, bool]:
        """Return the sentence after all steps but that of length, "" where it is dropped, and whether the text ends."""
        for step in self._rules.steps:
            if step == "banned_words":
                sentence, ended = self._without_banned(sentence, source, ended)
            elif step == "repetition":
                sentence = self._without_repetition(sentence)
            elif step == "personal_data":
                sentence = self._masked(sentence)
            else:
                continue
            self.trace.stages[step].append(sentence)
        return sentence, ended

    def _without_banned(self, sentence: str, source: SentenceSource, ended: bool) -> tuple[str, bool]:
        pattern = self._rules.banned_pattern
        if pattern is None or not pattern.search(sentence):
            return sentence, ended
        for again in range(1, _REDRAWN + 1):
            drawn = source.next(again)
            if drawn is None:
                break
            self.trace.redrawn += 1
            other, ended = self._stopped(*drawn)
            if not pattern.search(other):
                return other, ended
        return "", ended

    def _without_repetition(self, sentence: str) -> str:
        sentence = _LOOP.sub(r"\1", sentence)
        folded = normalize_text(sentence)
        if len(folded) < 2:
            return sentence
        if folded in self._seen:
            return ""
        self._seen.add(folded)
        return sentence

    def _masked(self, sentence: str) -> str:
        if not find_personal_data(sentence, DEFAULT_KINDS):
            return sentence
        before = self._masker.found.copy()
        masked = self._masker.mask(sentence, DEFAULT_KINDS)
        self.trace.personal += self._masker.found - before
        return masked
