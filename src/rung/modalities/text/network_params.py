"""Parameters of text networks trained from scratch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rung.core.training_params import ClassifierParams


@dataclass(frozen=True)
class TextNetworkParams(ClassifierParams):
    """Parameters.

    init: "random" learns token vectors from scratch; "static" starts at packaged static embeddings (English) and learns
    changes of the tokens seen; "auto" is static for English texts where the weights are here. vocabulary, vocabulary_size:
    learned from the training texts, unless init is static. max_tokens: tokens read of one text. ends: of a longer
    text read the beginning and the end, half each, instead of the beginning alone. width:
    of token vectors with random init. hidden, layers, heads: sizes of the network, see `NetworkShape`. dropout: of
    activations; token_dropout: share of tokens hidden in training. weights: of static embeddings, a name of
    `rung weights` or file:folder. The rest as in TrainingParams and ClassifierParams.
    """

    init: Literal["auto", "random", "static"] = "auto"
    vocabulary: Literal["subword", "character"] = "subword"
    vocabulary_size: int = 8_000
    max_tokens: int = 256
    ends: bool = False
    width: int = 128
    hidden: int = 128
    layers: int = 1
    heads: int = 4
    dropout: float = 0.3
    token_dropout: float = 0.1
    weights: str = "wordllama"
