"""Learn a vocabulary from the user's texts: parts of words (BPE), or single characters."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from rung.core.errors import MissingExtra
from rung.modalities.text.token_units import SPECIAL

UNKNOWN = "[UNK]"
# Different characters at most: enough for Chinese.
_MAX_ALPHABET = 6_000


def learn_vocabulary(texts: Sequence[str], size: int, kind: Literal["subword", "character"]) -> str:
    """Return the content of a tokenizer.json with at most `size` tokens; the token 0 stands for unknown characters.

    Texts are normalised (NFKC, lower case). "subword" learns byte-pair merges within words (Sennrich et al. 2016); a run
    of ideographs counts as one word, so frequent Chinese words become tokens. Parts seen once are not kept.
    """
    try:
        from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
    except ImportError:
        raise MissingExtra("learning a vocabulary", "build", "tokenizers") from None
    steps = [
        normalizers.NFKC(),
        normalizers.Lowercase(),
        normalizers.Replace(Regex(r"\s+"), " "),
        normalizers.Strip(),
    ]
    normalizer = normalizers.Sequence(steps)
    if kind == "character":
        counts = Counter(
            char for text in texts for char in normalizer.normalize_str(text) if not char.isspace()
        )
        known = sorted(counts, key=lambda char: (-counts[char], char))[: size - 1]
        vocabulary = {UNKNOWN: 0, **{char: place for place, char in enumerate(known, 1)}}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
        tokenizer.normalizer = normalizer
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex("."), "isolated")]
        )
        return str(tokenizer.to_str())
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace("\u2581", "first"),
            pre_tokenizers.Punctuation(),
            pre_tokenizers.Digits(False),
        ]
    )
    # Without prefixes and suffixes: the package would number those in an order that differs from run to run.
    trainer = trainers.BpeTrainer(
        vocab_size=size, min_frequency=2, special_tokens=[UNKNOWN], limit_alphabet=_MAX_ALPHABET,
        max_token_length=16, show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer, length=len(texts))
    return str(tokenizer.to_str())


def learn_language_vocabulary(texts: Sequence[str], size: int) -> str:
    """Return the content of a tokenizer.json for models that write: parts of words as bytes, nothing normalised.

    Its first tokens are those of `token_units.SPECIAL`. Every text can be encoded and comes back as it was.
    """
    try:
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    except ImportError:
        raise MissingExtra("learning a vocabulary", "build", "tokenizers") from None
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size, min_frequency=2, special_tokens=list(SPECIAL), max_token_length=16, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer, length=len(texts))
    # Marks that stand in a text are text: only a model's own places are marks.
    settings = json.loads(tokenizer.to_str())
    settings["added_tokens"] = []
    return json.dumps(settings, ensure_ascii=False)
