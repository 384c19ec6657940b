"""A sentence encoder of random weights, small enough for a test to train."""

import numpy as np

from rung.training.text.bert_weights import BertWeights, FloatTable, Layer, Linear, Norm

WORDS = ["ship", "wave", "sail", "tree", "leaf", "root", "gull", "moss"]
_SPECIAL = ["[UNK]", "[CLS]", "[SEP]"]
WIDTH, INNER, HEADS, TOKENS = 8, 64, 2, len(_SPECIAL) + len(WORDS)


def tiny_bert(layers, tokens=TOKENS):
    """Return the weights of an encoder with so many layers, two heads of four channels and 64 units each, for so many tokens."""
    rng = np.random.default_rng(1)

    def linear(rows, columns):
        return Linear(rng.normal(0, 0.3, (rows, columns)).astype(np.float32), np.zeros(columns, np.float32))

    def norm():
        return Norm(np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32))

    made = tuple(
        Layer(
            linear(WIDTH, 3 * WIDTH), linear(WIDTH, WIDTH), norm(), linear(WIDTH, INNER), linear(INNER, WIDTH), norm()
        )
        for _ in range(layers)
    )  # fmt: skip
    table = FloatTable(rng.normal(0, 1, (tokens, WIDTH)).astype(np.float32))
    positions = rng.normal(0, 0.1, (32, WIDTH)).astype(np.float32)
    return BertWeights(HEADS, 1e-12, table, positions, norm(), made)


def tiny_tokenizer():
    """Return the content of its tokenizer.json: a token a word."""
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": n, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for n, t in enumerate(_SPECIAL)],
        "normalizer": None, "pre_tokenizer": {"type": "Whitespace"}, "decoder": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]}, "[SEP]": {"id": "[SEP]", "ids": [2], "tokens": ["[SEP]"]}},
        },
        "model": {"type": "WordLevel", "unk_token": "[UNK]", "vocab": {t: n for n, t in enumerate([*_SPECIAL, *WORDS])}},
    }  # fmt: skip
