"""Fine-tune a sentence encoder for labels: warm start from the linear head of the frozen one, training, export."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.text.finetuning_params import FinetuningParams
from rung.modalities.text.network_model import NetworkFiles, TextInputs, encode_texts, open_tokenizer
from rung.modalities.text.ngrams import join_fields
from rung.runtime.linear.head import LinearHead
from rung.training.linear.feature_matrix import FeatureMatrix
from rung.training.linear.label_sets import codes_of, search_and_fit_classes
from rung.training.linear.search import candidate_heads
from rung.training.text.bert_onnx import LinearWriter, write_classifier, write_float
from rung.training.text.bert_weights import BertWeights, FloatTable, to_int8_table
from rung.training.text.encoder_export import calibrate, read_encoder
from rung.training.text.encoder_quantize import Int8Writer
from rung.training.text.encoders import open_encoder, resolve_encoder, training_sample
from rung.training.torch.adapters import add_adapters
from rung.training.torch.bert import BertClassifier, BertEncoder
from rung.training.torch.classifier import train_and_refit
from rung.training.torch.devices import training_threads
from rung.training.torch.lora import add_lora, merge_lora
from rung.training.torch.text_classifier import TextLearner, TokenRows
from rung.training.torch.text_network_fit import FittedNetwork
from rung.training.torch.trainer import History, train

Float = npt.NDArray[np.float32]
# Training texts on which the ranges of 8 bits are measured, and on which both graphs must agree.
_CALIBRATION, _COMPARED, _LEAST_AGREEMENT = 64, 256, 0.99


@dataclass(frozen=True)
class EncoderSource:
    """The encoder before training, and how texts become its token ids."""

    name: str
    weights: BertWeights
    pooling: str
    tokenizer: str
    inputs: TextInputs


def finetune(examples: Examples, params: FinetuningParams, context: FitContext) -> FittedNetwork:
    """Return the encoder and head trained on these rows, calibrated on `context.validation`."""
    examples = training_sample(examples, params.most_rows, context)
    labels, held = examples.schema.classes, context.validation
    texts = join_fields(examples.inputs)
    source = _read_ends(
        encoder_source(resolve_encoder(params.weights, texts), params.max_tokens), params.ends
    )
    tokenizer = open_tokenizer(source.tokenizer)

    length = min(source.inputs.max_tokens, params.train_tokens)
    short = replace(source.inputs, max_tokens=length, tail=length // 2 if params.ends else 0)

    def rows(given: Examples, inputs: TextInputs) -> TokenRows:
        ids = encode_texts(tokenizer, join_fields(given.inputs), inputs)
        return TokenRows(ids, codes_of(given.targets, given.schema))

    learn = rows(examples, short)
    validation = rows(held, source.inputs) if held is not None and len(held) else None
    head = _linear_head(source.name, texts, learn.codes, labels, context)

    def fit(
        rows: TokenRows, held_out: TokenRows | None, own: FinetuningParams, part: FitContext
    ) -> tuple[TextLearner, History]:
        return _train(source, head, rows, held_out, own, part)

    every = (lambda: learn.join(rows(held, short))) if held is not None and params.refit else None
    found = train_and_refit(fit, learn, validation, params, context, every)
    files, variant = export_classifier(
        found.module, source, texts, params.precision_on_disk, learn.codes.ndim > 1
    )
    chosen = {
        "weights": source.name, "layers": params.layers, "variant": variant,
        "trained_parameters": sum(p.numel() for p in found.module.parameters() if p.requires_grad),
        **found.chosen, **found.calibration.chosen(labels),
    }  # fmt: skip
    return FittedNetwork(files, found.calibration, chosen)


def _read_ends(source: EncoderSource, ends: bool) -> EncoderSource:
    """Return the source reading the beginning and the end of long texts, where that is asked for."""
    tail = source.inputs.max_tokens // 2 if ends else 0
    return replace(source, inputs=replace(source.inputs, tail=tail))


def encoder_source(name: str, max_tokens: int | None) -> EncoderSource:
    """Return the weights of an encoder that can be trained. max_tokens: of one text; None: as many as it reads."""
    weights, settings, config = read_encoder(name)
    tokenizer = json.dumps(settings, ensure_ascii=False)
    ends = tuple(open_tokenizer(tokenizer).encode("").ids)
    length = min(max_tokens or config.max_tokens, config.max_tokens, weights.positions.shape[0])
    inputs = TextInputs(length, 0, ends[:1], ends[1:], config.prefix, padded=False)
    return EncoderSource(name, weights, config.pooling, tokenizer, inputs)


def _linear_head(
    name: str, texts: Sequence[str], codes: npt.NDArray[Any], labels: Sequence[str], context: FitContext
) -> LinearHead:
    """Return the head of the frozen encoder: where training starts."""
    vectors = open_encoder(name, texts)[1].embed(texts).astype(np.float64)
    heads = candidate_heads("auto", None, min(context.effort, 2), dense=True)
    return search_and_fit_classes({"first": FeatureMatrix((vectors,))}, codes, labels, heads, context)[1]


def _train(
    source: EncoderSource,
    head: LinearHead,
    rows: TokenRows,
    validation: TokenRows | None,
    params: FinetuningParams,
    context: FitContext,
) -> tuple[TextLearner, History]:
    with training_threads(context.threads, context.seed):
        module = make_classifier(source, head, rows, params)
    learner = TextLearner(module, rows, len(head.bias), params, context, validation)
    return learner, train(learner, params, context)


def make_classifier(
    source: EncoderSource, head: LinearHead, rows: TokenRows, params: FinetuningParams
) -> BertClassifier:
    """Return the module to train: everything, the last layers, low-rank changes of the linear layers, or adapters."""
    seen = np.unique(np.concatenate([np.asarray(row, np.int64) for row in rows.ids]))
    encoder = BertEncoder(source.weights, source.pooling, seen, params.dropout)
    scale = np.float32(head.calibration.scale)
    module = BertClassifier(encoder, head.weights * scale, head.bias * scale, params.dropout)
    if params.layers == "lora":
        encoder.requires_grad_(False)
        add_lora(encoder.layers, params.rank, params.alpha)
    elif params.layers == "adapters":
        encoder.requires_grad_(False)
        add_adapters(encoder.layers, params.bottleneck)
    elif params.layers != "all":
        encoder.requires_grad_(False)
        for layer in list(encoder.layers)[len(encoder.layers) - int(params.layers.removeprefix("last_")) :]:
            layer.requires_grad_(True)
    return module


def export_classifier(
    module: nn.Module, source: EncoderSource, texts: Sequence[str], precision: str, sets: bool = False
) -> tuple[NetworkFiles, str]:
    """Return the ONNX file of a classifier, and its precision.

    "auto" is 8 bits if their answers to training texts are those of float32 in 99 of 100 cases. sets: answers are sets of
    labels, each a case of its own.
    """
    if not isinstance(module, BertClassifier):
        raise TypeError(type(module).__name__)
    module.cpu().eval()
    merge_lora(module)
    weights, head = module.encoder.export(), module.head_weights()

    def files(bert: BertWeights, write: LinearWriter) -> NetworkFiles:
        content = write_classifier(bert, write, source.pooling, head)
        return NetworkFiles(content, source.tokenizer, source.inputs)

    exact = files(weights, write_float)
    if precision == "float32":
        return exact, precision
    ranges = calibrate(weights, source.tokenizer, _sample(texts, _CALIBRATION))
    table = to_int8_table(weights.tokens.values) if isinstance(weights.tokens, FloatTable) else weights.tokens
    small = files(replace(weights, tokens=table), Int8Writer(ranges))
    compared = _sample(texts, _COMPARED)
    same = _agreeing(exact.logits(compared), small.logits(compared), sets)
    if precision == "int8" or same >= _LEAST_AGREEMENT:
        return small, "int8"
    return exact, "float32"


def _agreeing(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64], sets: bool) -> float:
    """Return the share of answers on which logits [rows, labels] agree; of sets, of decisions for or against a label."""
    if sets:
        return float(((one > 0) == (other > 0)).mean())
    return float((one.argmax(axis=1) == other.argmax(axis=1)).mean())


def _sample(texts: Sequence[str], count: int) -> list[str]:
    return list(texts[:: max(len(texts) // count, 1)])[:count]
