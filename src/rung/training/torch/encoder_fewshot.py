"""Fine-tune a sentence encoder on few rows: rows of a label are drawn together, then a linear head is fitted.

The idea is SetFit's (Tunstall et al. 2022); the loss is the supervised contrastive one (Khosla et al. 2020) within a batch,
where all rows of other labels are negatives and the nearest weigh most. Pairs are drawn, never listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from rung.core.errors import RungError
from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.text.fewshot_params import FewshotParams
from rung.modalities.text.network_model import encode_texts, open_tokenizer
from rung.modalities.text.ngrams import join_fields
from rung.runtime.linear.head import Calibration, LinearHead
from rung.training.linear.feature_matrix import FeatureMatrix
from rung.training.linear.search import HeadKind, candidate_heads, encode_labels, search_and_fit
from rung.training.text.encoders import open_encoder, resolve_encoder
from rung.training.torch.batching import pad
from rung.training.torch.bert import BertClassifier, BertEncoder
from rung.training.torch.devices import training_threads
from rung.training.torch.encoder_finetune import EncoderSource, encoder_source, export_classifier
from rung.training.torch.learner import Learner
from rung.training.torch.lora import add_lora
from rung.training.torch.text_network_fit import FittedNetwork
from rung.training.torch.trainer import train

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_BATCH = 64
_LOGISTIC_ROWS = 5_000


class ContrastiveLearner(Learner):
    """An encoder that learns to put rows of one label close together.

    drawn: places of the rows that batches are made of; None: all. With each row of a batch comes one more of its label, of all rows.
    """

    def __init__(
        self,
        encoder: nn.Module,
        ids: Sequence[Sequence[int]],
        codes: Ints,
        temperature: float,
        drawn: Ints | None = None,
    ) -> None:
        drawn = np.arange(len(ids)) if drawn is None else drawn
        lengths = np.array([len(ids[row]) for row in drawn], np.int64)
        super().__init__(encoder, lengths, np.ones(len(drawn)))
        self.ids, self.codes, self.temperature, self.drawn = ids, codes, temperature, drawn
        self.by_label = [np.flatnonzero(codes == label) for label in range(int(codes.max()) + 1)]

    def loss(self, rows: Ints) -> Tensor:
        rows = self.drawn[rows]
        partners = np.array([self._partner(int(row)) for row in rows], np.int64)
        both = np.concatenate([rows, partners])
        found = self._features(both)
        return contrastive_loss(found, torch.as_tensor(self.codes[both]), self.temperature)[: len(rows)].sum()

    def _partner(self, row: int) -> int:
        """Return another row of the label, drawn; the row itself where there is no other."""
        same = self.by_label[int(self.codes[row])]
        drawn = int(same[int(torch.randint(len(same), (1,)))])
        return (
            drawn
            if drawn != row or len(same) == 1
            else int(same[(np.searchsorted(same, row) + 1) % len(same)])
        )

    def _features(self, rows: Ints) -> Tensor:
        return self._encoded([self.ids[row] for row in rows])

    def _encoded(self, texts: Sequence[Sequence[int]]) -> Tensor:
        ids, mask = pad([np.asarray(text, np.int64) for text in texts])
        device = next(self.module.parameters()).device
        found: Tensor = self.module(
            torch.as_tensor(ids, device=device), torch.as_tensor(mask, dtype=torch.float32, device=device)
        )
        return found

    @torch.no_grad()
    def features(self, ids: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """Return the features [rows, width] that the encoder as it is has of texts."""
        self.module.eval()
        found: npt.NDArray[np.float32] | None = None
        for start in range(0, len(ids), _BATCH):
            part = self._encoded(ids[start : start + _BATCH]).cpu().numpy()
            # Written into one array: small results kept between large passing ones would leave the memory full of holes.
            found = np.empty((len(ids), part.shape[1]), np.float32) if found is None else found
            found[start : start + len(part)] = part
        return np.zeros((0, 0), np.float32) if found is None else found


def contrastive_loss(features: Tensor, codes: Tensor, temperature: float) -> Tensor:
    """Return the loss of each row [rows]: how improbable rows of its label are among its neighbours.

    features: [rows, width], each of length 1. A row without another of its label has a loss of 0.
    """
    codes = codes.to(features.device)
    own = torch.eye(len(codes), dtype=torch.bool, device=features.device)
    near = (features @ features.T / temperature).masked_fill(own, float("-inf"))
    chance = torch.log_softmax(near, dim=1).masked_fill(own, 0.0)
    same = (codes[:, None] == codes[None]) & ~own
    return -(chance * same).sum(dim=1) / same.sum(dim=1).clamp(min=1)


def fit_fewshot(examples: Examples, params: FewshotParams, context: FitContext) -> FittedNetwork:
    """Return the encoder tuned on these rows with a linear head over it."""
    labels = examples.schema.labels
    texts, codes = join_fields(examples.inputs), encode_labels(examples.targets, labels)
    source = encoder_source(resolve_encoder(params.weights, texts), params.max_tokens)
    anchors = bool(params.descriptions) if params.anchors is None else params.anchors
    told = [params.descriptions.get(label, label) for label in labels] if anchors else []
    _check(params, labels)
    tokenizer = open_tokenizer(source.tokenizer)
    short = replace(source.inputs, max_tokens=min(source.inputs.max_tokens, params.train_tokens))
    every = np.concatenate([codes, np.arange(len(told))])
    calibration = _head(
        open_encoder(source.name, texts)[1].embed(texts), codes, len(labels), context
    ).calibration
    learner = _tuned(source, encode_texts(tokenizer, [*texts, *told], short), every, params, context)
    # Descriptions are rows of the head as well (benchmarks/results/zero_shot.md).
    ids = encode_texts(tokenizer, [*texts, *told], source.inputs)
    head = _head(learner.features(ids), every, len(labels), context)
    encoder = learner.module
    if not isinstance(encoder, BertEncoder):
        raise TypeError(type(encoder).__name__)
    module = BertClassifier(encoder, head.weights, head.bias, 0.0)
    files, variant = export_classifier(module, source, texts, params.precision_on_disk)
    chosen: dict[str, Any] = {
        "weights": source.name, "rows": len(texts), "anchors": len(told), "epochs": params.epochs,
        "layers": params.layers, "variant": variant, "calibration": f"temperature {1.0 / calibration.scale:.3g}",
    }  # fmt: skip
    # Held-out scores of the frozen encoder: those of the tuned one have seen every label here.
    return FittedNetwork(files, Calibration(scale=calibration.scale), chosen)


def _check(params: FewshotParams, labels: Sequence[str]) -> None:
    strange = sorted(set(params.descriptions) - set(labels))
    if strange:
        raise RungError(
            f"`descriptions` names '{strange[0]}', which no training row has",
            "descriptions",
            f"The labels are {', '.join(map(repr, labels[:12]))}.",
        )


def _tuned(
    source: EncoderSource, ids: list[list[int]], codes: Ints, params: FewshotParams, context: FitContext
) -> ContrastiveLearner:
    with training_threads(context.threads, context.seed):
        seen = np.unique(np.concatenate([np.asarray(row, np.int64) for row in ids]))
        encoder = BertEncoder(source.weights, source.pooling, seen, params.dropout)
        if params.layers != "all":
            encoder.requires_grad_(False)
        if params.layers == "lora":
            add_lora(encoder.layers, params.rank, params.alpha)
        elif params.layers == "last_third":
            for layer in list(encoder.layers)[-max(len(encoder.layers) // 3, 1) :]:
                layer.requires_grad_(True)
    drawn = min(len(ids), params.most_drawn) * params.epochs
    places = np.arange(len(ids))
    if drawn < len(ids):  # more rows than are to be drawn: one epoch of some of them
        places = np.sort(np.random.default_rng(context.seed).choice(len(ids), drawn, replace=False))
    learner = ContrastiveLearner(encoder, ids, codes, params.temperature, places)
    epochs = max(round(drawn / len(places)), 1)
    train(learner, replace(params, epochs=epochs), context)
    return learner


def _head(features: npt.NDArray[Any], codes: Ints, labels: int, context: FitContext) -> LinearHead:
    """Return a logistic head, calibrated on held-out scores; a ridge where a logistic one would take longer than the encoder."""
    few = len(codes) <= _LOGISTIC_ROWS
    one: list[tuple[HeadKind, float]] = [("logistic", 10.0)]
    heads = one if few else candidate_heads("ridge", None, context.effort, dense=True)
    matrix = FeatureMatrix((features.astype(np.float64),))
    return search_and_fit({"first": matrix}, codes, labels, heads, context)[1]
