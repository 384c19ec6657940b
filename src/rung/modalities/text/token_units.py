"""What a language model reads and writes one after the other: characters, or parts of words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from rung.core.errors import BundleError
from rung.modalities.text.network_model import open_tokenizer
from rung.modalities.text.tokenize import replace_lone_surrogates, token_ids

UNITS_FILE = "units.json"
# Places of what is no text: an unknown character, the start, the mark between prompt and text, the end.
UNKNOWN, START, MARK, END = range(4)
SPECIAL = ("[UNK]", "[START]", "[MARK]", "[END]")
Unit = Literal["character", "subword"]


class TokenUnits:
    """The units of a language model. pieces: the bytes of each, nothing for those that are no text."""

    def __init__(self, unit: Unit, content: str) -> None:
        """content: the characters, as a JSON list; or a tokenizer.json whose first tokens are SPECIAL."""
        self.unit, self._content = unit, content
        self._tokenizer: Any = None
        if unit == "character":
            known = json.loads(content)
            self._ids = {char: place for place, char in enumerate(known, len(SPECIAL))}
            self.pieces = (*(b"" for _ in SPECIAL), *(char.encode("utf-8") for char in known))
        else:
            self._tokenizer = open_tokenizer(content)
            names = (self._tokenizer.id_to_token(i) for i in range(self._tokenizer.get_vocab_size()))
            table = _bytes_of_marks()
            self.pieces = tuple(
                b"" if place < len(SPECIAL) else bytes(table[mark] for mark in name)
                for place, name in enumerate(names)
            )

    @classmethod
    def of_characters(cls, texts: Sequence[str], most: int) -> TokenUnits:
        """Return the characters of texts, the most frequent first, at most so many; one seen once is unknown where there are many."""
        counts = Counter(char for text in texts for char in replace_lone_surrogates(text))
        least = 2 if len(counts) > 200 else 1
        known = sorted((c for c, n in counts.items() if n >= least), key=lambda char: (-counts[char], char))
        return cls("character", json.dumps(known[:most], ensure_ascii=False))

    def __len__(self) -> int:
        return len(self.pieces)

    def encode(self, text: str) -> list[int]:
        """Return the units of a text."""
        if self._tokenizer is not None:
            return token_ids(self._tokenizer, [text])[0]
        ids = self._ids
        return [ids.get(char, UNKNOWN) for char in replace_lone_surrogates(text)]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of units; bytes that are no character become the replacement mark."""
        return b"".join(self.pieces[i] for i in ids).decode("utf-8", "replace")

    def save(self, folder: Path) -> None:
        facts = {"unit": self.unit, "content": self._content}
        (folder / UNITS_FILE).write_text(json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> TokenUnits:
        facts = json.loads((folder / UNITS_FILE).read_text(encoding="utf-8"))
        if facts.get("unit") not in {"character", "subword"}:
            raise BundleError("the units of the language model cannot be read", UNITS_FILE, "Build it again.")
        return cls(facts["unit"], facts["content"])


def _bytes_of_marks() -> dict[str, int]:
    """Return the byte that each mark of a byte-level tokenizer stands for (GPT-2's table)."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    marks = {chr(byte): byte for byte in plain}
    return marks | {chr(256 + place): byte for place, byte in enumerate(others)}
