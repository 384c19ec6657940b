"""Fit a text network from scratch: vocabulary, training, calibration, export."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from rung.core.errors import RungError
from rung.core.model import FitContext
from rung.core.types import Columns, Examples
from rung.modalities.text.embedder import is_english
from rung.modalities.text.network_model import NetworkFiles, TextInputs, encode_texts, open_tokenizer
from rung.modalities.text.network_params import TextNetworkParams
from rung.modalities.text.ngrams import join_fields
from rung.modalities.text.static_embedding import StaticEmbedding
from rung.runtime.linear.head import Calibration
from rung.runtime.weights.store import weights_folder
from rung.training.linear.label_sets import codes_of
from rung.training.text.vocabulary import learn_vocabulary
from rung.training.torch.classifier import REFIT_ROWS, train_and_refit
from rung.training.torch.devices import training_threads
from rung.training.torch.text_classifier import TextLearner, TokenRows
from rung.training.torch.text_network_onnx import write_network
from rung.training.torch.text_networks import Architecture, NetworkShape, TokenEmbedding, make_network
from rung.training.torch.trainer import History, train

# Texts on which the exported file is compared with the module, and the greatest difference of a logit.
_CHECKED, _TOLERANCE = 16, 1e-3


@dataclass(frozen=True)
class FittedNetwork:
    """What a fit leaves: the files that answer, their calibration, and what was chosen."""

    files: NetworkFiles
    calibration: Calibration
    chosen: dict[str, Any]


@dataclass(frozen=True)
class _Start:
    """Where training starts: the tokenizer's JSON, and token vectors or None."""

    init: str
    tokenizer: str
    table: npt.NDArray[np.float32] | None


@dataclass(frozen=True)
class PreparedRows:
    """Rows as token ids, and where training starts."""

    start: _Start
    inputs: TextInputs
    learn: TokenRows
    validation: TokenRows | None
    labels: int
    vocabulary: int


def prepare_rows(examples: Examples, params: TextNetworkParams, context: FitContext) -> PreparedRows:
    """Return the rows of a fit and of `context.validation` as token ids."""
    schema, held = examples.schema, context.validation
    start = _start(join_fields(examples.inputs), params)
    inputs = TextInputs(params.max_tokens, params.max_tokens // 2 if params.ends else 0)
    tokenizer = open_tokenizer(start.tokenizer)

    def rows(columns: Columns, targets: Sequence[Any]) -> TokenRows:
        ids = encode_texts(tokenizer, join_fields(columns), inputs)
        return TokenRows(ids, codes_of(targets, schema))

    learn = rows(examples.inputs, examples.targets)
    validation = rows(held.inputs, held.targets) if held is not None and len(held) else None
    return PreparedRows(start, inputs, learn, validation, len(schema.classes), tokenizer.get_vocab_size())


def fit_text_network(
    architecture: Architecture, examples: Examples, params: TextNetworkParams, context: FitContext
) -> FittedNetwork:
    """Return the network trained on these rows, early-stopped and calibrated on `context.validation`."""
    prepared = prepare_rows(examples, params, context)

    def fit(
        rows: TokenRows, validation: TokenRows | None, own: TextNetworkParams, part: FitContext
    ) -> tuple[TextLearner, History]:
        return train_network(architecture, replace(prepared, learn=rows, validation=validation), own, part)

    learn, held = prepared.learn, prepared.validation
    again = params.refit if params.refit is not None else len(learn) < REFIT_ROWS
    every = (lambda: learn.join(held)) if held is not None and again else None
    found = train_and_refit(fit, learn, held, params, context, every)
    texts = join_fields(examples.inputs)
    files = _export(found.module, prepared.start.tokenizer, prepared.inputs, prepared.labels, texts)
    chosen = {
        "init": prepared.start.init,
        "vocabulary": prepared.vocabulary,
        "parameters": sum(p.numel() for p in found.module.parameters()),
        **found.chosen,
        **found.calibration.chosen(examples.schema.classes),
    }
    return FittedNetwork(files, found.calibration, chosen)


def _start(texts: Sequence[str], params: TextNetworkParams) -> _Start:
    """Return static token vectors with their tokenizer, or a vocabulary learned from the texts."""
    if params.init == "static" or (params.init == "auto" and is_english(texts[:200])):
        try:
            folder = weights_folder(params.weights)
        except RungError:
            if params.init == "static":
                raise
        else:
            static = StaticEmbedding.open(folder)
            settings = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
            tokenizer = json.dumps({**settings, "padding": None, "truncation": None}, ensure_ascii=False)
            return _Start("static", tokenizer, static.table)
    return _Start("random", learn_vocabulary(texts, params.vocabulary_size, params.vocabulary), None)


def _shape(
    architecture: Architecture, params: TextNetworkParams, start: _Start, vocabulary: int, labels: int
) -> NetworkShape:
    width = params.width if start.table is None else int(start.table.shape[1])
    if architecture == "transformer" and width % params.heads:
        raise RungError(
            f"heads is {params.heads}, which does not divide the width {width}", "heads", "Try 4 or 8."
        )
    return NetworkShape(
        architecture, vocabulary if start.table is None else len(start.table), labels, width, params.hidden,
        params.layers, params.heads, params.max_tokens, params.dropout,
    )  # fmt: skip


def train_network(
    architecture: Architecture,
    rows: PreparedRows,
    params: TextNetworkParams,
    context: FitContext,
    epoch_ended: Callable[[int, float | None], None] | None = None,
) -> tuple[TextLearner, History]:
    """Return the learner after training, and how it went. epoch_ended: called with each epoch's number and score."""
    start = rows.start
    shape = _shape(architecture, params, start, rows.vocabulary, rows.labels)
    with training_threads(context.threads, context.seed):
        if start.table is None:
            embedding = TokenEmbedding(shape.vocabulary, shape.width)
        else:
            seen = np.unique(np.concatenate([np.asarray(row, np.int64) for row in rows.learn.ids]))
            embedding = TokenEmbedding.from_table(start.table, seen)
        network = make_network(shape, embedding)
        start_at_shares(network, rows.learn.codes)
    learner = TextLearner(
        network, rows.learn, shape.labels, params, context, rows.validation, params.token_dropout
    )
    learner.told = epoch_ended
    return learner, train(learner, params, context)


def start_at_shares(network: nn.Module, codes: npt.NDArray[Any]) -> None:
    """Let a network of several labels begin by answering how frequent each is; labels are rare, and a bias learns that slowly.

    codes: [rows, labels] of 0 and 1; [rows] of one label a row, where nothing changes.
    """
    if codes.ndim > 1:
        share = (codes.sum(axis=0) + 0.5) / (len(codes) + 1.0)
        with torch.no_grad():
            network.head.bias.copy_(torch.as_tensor(np.log(share / (1.0 - share))))  # type: ignore[operator, union-attr]


def _export(
    module: nn.Module, tokenizer: str, inputs: TextInputs, labels: int, texts: Sequence[str]
) -> NetworkFiles:
    """Return the module's ONNX file, compared with the module on some texts."""
    module.cpu().eval()
    round_to_half(module)
    files = NetworkFiles(write_network(module, labels), tokenizer, inputs)
    sample = list(texts[:: max(len(texts) // _CHECKED, 1)])[:_CHECKED]
    own = TokenRows(encode_texts(open_tokenizer(tokenizer), sample, inputs), np.zeros(len(sample), np.int64))
    with torch.no_grad():
        expected = np.concatenate([module(*_one(row)).numpy() for row in own.ids])
    difference = float(np.abs(files.logits(sample) - expected).max())
    if difference > _TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise RungError(
            f"the exported network differs from the trained one by {difference:.2g}", "export", "Report this."
        )
    return files


def round_to_half(module: nn.Module) -> None:
    """Round the token vectors of a network to half precision, in which they are stored."""
    table = module.embedding.table()  # type: ignore[operator, union-attr]
    rounded = TokenEmbedding(*table.shape)
    with torch.no_grad():
        rounded.learned.weight.copy_(torch.as_tensor(table).half().float())
    module.embedding = rounded


def _one(row: Sequence[int]) -> tuple[Tensor, Tensor]:
    ids = torch.as_tensor([list(row)])
    return ids, torch.ones(ids.shape)
