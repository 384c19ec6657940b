"""The weights of a BERT-family encoder in one structure, independent of their file format."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.core.errors import RungError

Float = NDArray[np.float32]

# Model types with BERT's architecture, and the unused rows at the start of their position table.
_POSITION_OFFSET = {"bert": 0, "roberta": 2, "xlm-roberta": 2, "camembert": 2}


@dataclass(frozen=True)
class FloatTable:
    """Token embeddings in float32. values: [vocabulary, width]."""

    values: Float


@dataclass(frozen=True)
class Int8Table:
    """Token embeddings in 8 bits. codes: [vocabulary, width]; scales: [vocabulary, 1]; value = code * scale."""

    codes: NDArray[np.int8]
    scales: Float


@dataclass(frozen=True)
class Int4Table:
    """Token embeddings in 4 bits, in blocks of 32 along the width; value = (nibble - 8) * scale.

    codes: [vocabulary, width / 2], low nibble first; scales: [vocabulary, width / 32].
    """

    codes: NDArray[np.uint8]
    scales: NDArray[np.float16]


TokenTable = FloatTable | Int8Table | Int4Table


def table_rows(table: TokenTable) -> int:
    """Return how many tokens a table has vectors for."""
    return len(table.values if isinstance(table, FloatTable) else table.codes)


@dataclass(frozen=True)
class Linear:
    """y = x @ weight + bias. weight: [in, out]; bias: [out]."""

    weight: Float
    bias: Float


@dataclass(frozen=True)
class Norm:
    """Layer normalisation. gamma, beta: [width]."""

    gamma: Float
    beta: Float


@dataclass(frozen=True)
class Adapter:
    """y + gelu(y @ down + b) @ up + c, behind a linear layer whose output is y."""

    down: Linear
    up: Linear


@dataclass(frozen=True)
class Layer:
    """One transformer layer with post-normalisation. qkv: query, key and value concatenated.

    context_adapter, down_adapter: behind the layers of those names; None for none.
    """

    qkv: Linear
    context: Linear
    context_norm: Norm
    up: Linear
    down: Linear
    down_norm: Norm
    context_adapter: Adapter | None = None
    down_adapter: Adapter | None = None


@dataclass(frozen=True)
class BertWeights:
    """An encoder. positions: [max_positions, width], with the first token type embedding added."""

    heads: int
    epsilon: float
    tokens: TokenTable
    positions: Float
    norm: Norm
    layers: tuple[Layer, ...]

    @property
    def width(self) -> int:
        """Return the width of the hidden states and of the embedding."""
        return int(self.positions.shape[1])


def to_int8_table(values: Float) -> Int8Table:
    """Return the table quantised to 8 bits, one scale a row."""
    scales = np.abs(values).max(axis=1, keepdims=True) / 127.0
    scales[scales == 0] = 1.0
    return Int8Table(np.rint(values / scales).astype(np.int8), scales.astype(np.float32))


def read_safetensors(folder: Path) -> BertWeights:
    """Return the encoder of a folder with `model.safetensors` and `config.json`, as float32.

    Raises RungError for an architecture or an activation other than BERT's, and for a file that is not whole.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind = str(config.get("model_type"))
    if kind not in _POSITION_OFFSET or config.get("hidden_act") != "gelu":
        raise RungError(
            f"model_type '{kind}' with activation '{config.get('hidden_act')}' cannot be written as ONNX here.",
            str(folder / "config.json"),
            f"Readable: {', '.join(_POSITION_OFFSET)} with 'gelu'. Others: use a repository with its own ONNX file.",
        )
    prefix = f"{kind.removeprefix('xlm-')}."
    stored = _stored_tensors(folder / "model.safetensors")
    tensors = {name.removeprefix(prefix).removeprefix("bert."): value for name, value in stored.items()}

    def take(name: str) -> Float:
        if name not in tensors:
            raise RungError(
                f"the tensor '{name}' is missing.", str(folder / "model.safetensors"), "Fetch it again."
            )
        return np.asarray(tensors[name], dtype=np.float32)

    def linear(*names: str) -> Linear:
        weight = np.concatenate([take(f"{name}.weight").T for name in names], axis=1)
        return Linear(weight, np.concatenate([take(f"{name}.bias") for name in names]))

    def norm(name: str) -> Norm:
        return Norm(take(f"{name}.weight"), take(f"{name}.bias"))

    layers = []
    for number in range(int(config["num_hidden_layers"])):
        root = f"encoder.layer.{number}"
        attention = f"{root}.attention.self"
        layers.append(
            Layer(
                qkv=linear(f"{attention}.query", f"{attention}.key", f"{attention}.value"),
                context=linear(f"{root}.attention.output.dense"),
                context_norm=norm(f"{root}.attention.output.LayerNorm"),
                up=linear(f"{root}.intermediate.dense"),
                down=linear(f"{root}.output.dense"),
                down_norm=norm(f"{root}.output.LayerNorm"),
            )
        )
    positions = take("embeddings.position_embeddings.weight")[_POSITION_OFFSET[kind] :]
    return BertWeights(
        heads=int(config["num_attention_heads"]),
        epsilon=float(config["layer_norm_eps"]),
        tokens=FloatTable(take("embeddings.word_embeddings.weight")),
        positions=positions + take("embeddings.token_type_embeddings.weight")[0],
        norm=norm("embeddings.LayerNorm"),
        layers=tuple(layers),
    )


def _stored_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a file; raises RungError where it is not whole."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise RungError(f"the file cannot be read: {error}", str(path), "Fetch it again.") from None
