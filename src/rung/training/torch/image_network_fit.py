"""Fit an image network, from scratch or from fetched weights: pixels, augmentation, training, calibration, export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from rung.core.errors import RungError
from rung.core.model import FitContext
from rung.core.types import Columns, Examples
from rung.modalities.images.decode import Preprocessing
from rung.modalities.images.network_model import ImageNetworkFile, with_channels
from rung.modalities.images.network_params import ImageTrainingParams
from rung.modalities.images.reading import read_pixels
from rung.runtime.linear.head import Calibration
from rung.training.images.backbone_export import read_network
from rung.training.images.convnet_onnx import write_convnet
from rung.training.images.fit import backbone_side, read_colour, training_sample, typical_side
from rung.training.linear.feature_matrix import FeatureMatrix
from rung.training.linear.search import candidate_heads, encode_labels, search_and_fit
from rung.training.torch.classifier import REFIT_ROWS, scratch_for, train_and_refit
from rung.training.torch.devices import training_threads
from rung.training.torch.image_classifier import ImageLearner, ImageRows
from rung.training.torch.image_networks import ConvClassifier, pretrained_network, scratch_network
from rung.training.torch.trainer import History, train

# Rows and epochs, at most, of the two short trainings that tell whether mirrored images help.
_TRIED_ROWS, _TRIED_EPOCHS = 2_000, 3
# Images on which the exported file is compared with the module, and the greatest difference of a logit.
_CHECKED, _TOLERANCE = 16, 1e-3
# A network from scratch reads images at the typical side, up to this one.
_LARGEST_SCRATCH = 64

MakeNetwork = Callable[[ImageRows], ConvClassifier]


@dataclass(frozen=True)
class FittedImageNetwork:
    """What a fit leaves: the network that answers, its calibration, and what was chosen."""

    network: ImageNetworkFile
    calibration: Calibration
    chosen: dict[str, Any]


def fit_scratch_cnn(
    examples: Examples, params: ImageTrainingParams, width: int, layers: int, context: FitContext
) -> FittedImageNetwork:
    """Return a residual network trained from random weights on these rows."""
    examples = training_sample(examples, params.most_rows, context)
    side = params.side or _scratch_side(typical_side(examples.inputs))
    colour = read_colour(examples.inputs, "auto", side)
    labels = len(examples.schema.labels)

    def make(rows: ImageRows) -> ConvClassifier:
        channels = rows.pixels.shape[-1]
        return scratch_network(side, channels, labels, width, layers, params.dropout)

    return _fit(make, Preprocessing(side, side, colour), examples, params, context, {"colour": colour})


def fit_backbone(
    name: str, blocks: int | None, examples: Examples, params: ImageTrainingParams, context: FitContext
) -> FittedImageNetwork:
    """Return a network that starts at fetched weights, and at the linear head of its frozen features.

    blocks: how many of the last ones are trained; None: all.
    """
    examples = training_sample(examples, params.most_rows, context)
    side = params.side or backbone_side(typical_side(examples.inputs))
    net, labels = read_network(name), len(examples.schema.labels)

    def make(rows: ImageRows) -> ConvClassifier:
        module = pretrained_network(net, labels, params.dropout)
        _start_at_linear_head(module, rows, labels, params, context)
        if blocks is not None:
            module.freeze(blocks)
        return module

    chosen = {"weights": name, "blocks": "all" if blocks is None else blocks}
    return _fit(make, Preprocessing(side, side, "rgb"), examples, params, context, chosen)


def _scratch_side(typical: int) -> int:
    """Return the typical side in steps of four, from 16 to 64 pixels."""
    return min(max(-(-typical // 4) * 4, 16), _LARGEST_SCRATCH)


def _fit(
    make: MakeNetwork,
    preprocessing: Preprocessing,
    examples: Examples,
    params: ImageTrainingParams,
    context: FitContext,
    chosen: dict[str, Any],
) -> FittedImageNetwork:
    labels, held = examples.schema.labels, context.validation

    def rows(columns: Columns, targets: Sequence[Any]) -> ImageRows:
        fields = [with_channels(read_pixels(column, preprocessing)) for column in columns.values()]
        return ImageRows(np.stack(fields, axis=1), encode_labels(targets, labels))

    def fit(
        learn: ImageRows, validation: ImageRows | None, own: ImageTrainingParams, part: FitContext
    ) -> tuple[ImageLearner, History]:
        with training_threads(part.threads, part.seed):
            # Depthwise convolutions are a quarter faster with the channels last.
            module = make(learn).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        learner = ImageLearner(module, learn, len(labels), own, part, validation)
        return learner, train(learner, own, part)

    learn = rows(examples.inputs, examples.targets)
    validation = rows(held.inputs, held.targets) if held is not None and len(held) else None
    flip = params.flip
    if flip is None:
        flip = validation is not None and _flips_help(fit, learn, validation, params, context)
    params = replace(params, flip=flip)
    again = params.refit if params.refit is not None else len(learn) < REFIT_ROWS
    every = (lambda: learn.join(validation)) if validation is not None and again else None
    found = train_and_refit(fit, learn, validation, params, context, every)
    network = _export(found.module, preprocessing, learn)
    facts = {
        "side": preprocessing.width, **chosen, "flip": flip,
        "trained_parameters": sum(p.numel() for p in found.module.parameters() if p.requires_grad),
        **found.chosen,
    }  # fmt: skip
    return FittedImageNetwork(network, found.calibration, facts)


def _flips_help(
    fit: Callable[
        [ImageRows, ImageRows | None, ImageTrainingParams, FitContext], tuple[ImageLearner, History]
    ],
    learn: ImageRows,
    validation: ImageRows,
    params: ImageTrainingParams,
    context: FitContext,
) -> bool:
    """Return whether a short training scores better on validation rows with mirrored images than without."""
    if len(learn) > _TRIED_ROWS:
        drawn = np.sort(np.random.default_rng(context.seed).permutation(len(learn))[:_TRIED_ROWS])
        learn = ImageRows(learn.pixels[drawn], learn.codes[drawn])
    scores = []
    for flip in (False, True):
        short = replace(params, epochs=min(_TRIED_EPOCHS, params.epochs), patience=0, flip=flip)
        learner, _ = fit(learn, validation, short, scratch_for(context, f"flip-{flip}"))
        scores.append(learner.score() or 0.0)
    return scores[1] > scores[0]


def _start_at_linear_head(
    module: ConvClassifier, rows: ImageRows, labels: int, params: ImageTrainingParams, context: FitContext
) -> None:
    """Set the classifier to the linear head of the network's features as they are."""
    module.eval()
    reader = ImageLearner(module, rows, labels, params, context)
    with torch.no_grad(), training_threads(context.threads, context.seed):
        parts = [
            module.features(torch.as_tensor(rows.pixels[places]).flatten(0, 1))
            .reshape(len(places), rows.pixels.shape[1], -1)
            .mean(dim=1)
            for places in reader.batches(rows)
        ]
    features = torch.cat(parts).numpy().astype(np.float64)
    length = float(np.sqrt((features**2).sum(axis=1).mean())) or 1.0
    heads = candidate_heads("logistic", None, min(context.effort, 2), dense=True)
    head = search_and_fit(
        {"features": FeatureMatrix((features / length,))}, rows.codes, labels, heads, context
    )[1]
    scale = head.calibration.scale
    with torch.no_grad():
        module.classifier.weight.copy_(torch.as_tensor(head.weights.T * (scale / length)))
        module.classifier.bias.copy_(torch.as_tensor(head.bias * scale))


def _export(module: torch.nn.Module, preprocessing: Preprocessing, rows: ImageRows) -> ImageNetworkFile:
    """Return the module's ONNX file, compared with the module on some images."""
    if not isinstance(module, ConvClassifier):
        raise TypeError(type(module).__name__)
    module.cpu().eval()
    content = write_convnet(module.export(), logits=True).SerializeToString()
    network = ImageNetworkFile.of(content, preprocessing)
    sample = rows.pixels[:: max(len(rows) // _CHECKED, 1)][:_CHECKED, 0]
    with torch.no_grad():
        expected = module(torch.as_tensor(sample)).numpy()
    difference = float(np.abs(network.run(sample) - expected).max())
    if difference > _TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise RungError(
            f"the exported network differs from the trained one by {difference:.2g}", "export", "Report this."
        )
    return network
