"""Image networks: what is exported answers as torch does; images are changed as asked; an interrupted fit goes on."""

import numpy as np
import pytest
import torch

from rung.building.fit import split_validation
from rung.core.errors import RungError
from rung.core.model import FitContext
from rung.modalities.images.decode import Preprocessing
from rung.modalities.images.network_model import ImageNetworkFile
from rung.modalities.images.network_params import ImageTrainingParams
from rung.models.finetuned_backbone import FinetunedBackboneParams
from rung.testing import tiny_examples
from rung.training.images.backbone_export import read_network
from rung.training.images.convnet_onnx import write_convnet
from rung.training.torch import image_network_fit
from rung.training.torch.image_classifier import ImageLearner, ImageRows, augmented
from rung.training.torch.image_networks import pretrained_network, scratch_network
from rung.training.torch.trainer import History


def exported(network, side):
    content = write_convnet(network.export(), logits=True).SerializeToString()
    return ImageNetworkFile.of(content, Preprocessing(side, side))


def pixels(count, side, channels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels)).astype(np.uint8)


@pytest.mark.parametrize(
    ("side", "channels", "layers"), [(16, 1, 1), (28, 1, 1), (32, 3, 2), (44, 3, 1), (64, 3, 0)]
)
def test_a_trained_network_from_scratch_is_exported_with_its_normalisation(side, channels, layers):
    torch.manual_seed(0)
    network = scratch_network(side, channels, 4, width=8, layers=layers, dropout=0.2)
    for seed in range(3):  # Running means and variances move away from 0 and 1.
        network.train()(torch.as_tensor(pixels(8, side, channels, seed)))
    network.eval()
    images = pixels(5, side, channels, 9)
    with torch.no_grad():
        expected = network(torch.as_tensor(images)).numpy()
    assert np.ptp(expected) > 0.01
    assert np.abs(exported(network, side).run(images) - expected).max() < 1e-4


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_lite0"])
@pytest.mark.parametrize("side", [33, 96])
@pytest.mark.usefixtures("mobilenet_v2", "efficientnet_lite0")
def test_a_pretrained_network_is_what_was_fetched_and_goes_back(name, side):
    net = read_network(name)
    network = pretrained_network(net, 3, dropout=0.0).eval()
    images = pixels(3, side, 3)
    own = exported(network, side)
    with torch.no_grad():
        expected = network(torch.as_tensor(images)).numpy()
        features = network.features(torch.as_tensor(images)).numpy()
    assert np.abs(own.run(images) - expected).max() < 1e-3
    published = ImageNetworkFile.of(write_convnet(net).SerializeToString(), Preprocessing(side, side))
    (reference,) = (published.file.run("features", {"images": images}),)
    assert np.abs(reference[:, -features.shape[1] :] - features).max() < 1e-3


def test_only_the_last_blocks_are_trained_when_asked(mobilenet_v2):
    network = pretrained_network(read_network("mobilenet_v2"), 3, dropout=0.0)
    network.freeze(2)
    trained = {
        name.split(".")[1] for name, p in network.named_parameters() if p.requires_grad and "blocks" in name
    }
    count = len(network.blocks)
    assert trained == {str(count - 1), str(count - 2)} and network.classifier.weight.requires_grad


def test_every_training_starts_at_the_frozen_head(mobilenet_v2, monkeypatch):
    """Neither the short trainings nor the first whole one moves where the next one starts."""
    _, tiny = tiny_examples("image_classification")
    learn, context = split_validation(tiny, FitContext(effort=0), 0.25)
    starts = []

    def training(learner, params, context):
        starts.append(learner.module.classifier.weight.detach().clone())
        with torch.no_grad():
            learner.module.classifier.weight += 1.0
        return History(rate=1e-3, epoch=1, losses=[1.0], best_epoch=1)

    monkeypatch.setattr(image_network_fit, "train", training)
    params = FinetunedBackboneParams(model=mobilenet_v2, side=32, epochs=1)
    image_network_fit.fit_backbone(mobilenet_v2, 2, learn, params, context)
    assert len(starts) == 3 and all(torch.equal(start, starts[0]) for start in starts)
    assert float(starts[0].abs().max()) > 0


def test_images_are_shifted_by_no_more_than_asked_and_mirrored():
    torch.manual_seed(0)
    ramp = torch.arange(20, dtype=torch.uint8)[None, None, :, None].expand(200, 20, 20, 1)
    moved = augmented(ramp, ImageTrainingParams(shift=0.1, flip=False))[:, 0, :, 0].int()
    by = moved[:, 10] - 10
    assert set(by.tolist()) == {-2, -1, 0, 1, 2}
    assert ((moved[:, 1:] - moved[:, :-1]) >= 0).all(), "beyond an edge the edge repeats"
    mirrored = augmented(ramp, ImageTrainingParams(shift=0.0, flip=True))[:, 0, :, 0].int()
    falling = mirrored[:, 0] == 19
    assert 60 < int(falling.sum()) < 140 and (mirrored[~falling, 0] == 0).all()
    assert (augmented(ramp, ImageTrainingParams(shift=0.0, flip=False)) == ramp).all()


def test_a_share_of_images_has_a_blank_square():
    torch.manual_seed(0)
    images = torch.as_tensor(pixels(400, 12, 3))
    out = augmented(images, ImageTrainingParams(shift=0.0, flip=False, erase=0.25))
    changed = (out != images).any(dim=3)
    assert 0.15 < float(changed.any(dim=(1, 2)).float().mean()) < 0.35
    assert int(changed.sum(dim=(1, 2)).max()) <= 36


def test_blended_images_have_the_loss_of_both_labels():
    torch.manual_seed(0)
    rows = ImageRows(pixels(6, 16, 1)[:, None], np.array([0, 1, 2, 0, 1, 2]))
    network = scratch_network(16, 1, 3, width=8, layers=1, dropout=0.0).eval()
    plain = ImageLearner(network, rows, 3, ImageTrainingParams(shift=0.0, flip=False), FitContext())
    blended = ImageLearner(
        network, rows, 3, ImageTrainingParams(shift=0.0, flip=False, mixup=0.4), FitContext()
    )
    places = np.arange(6)
    same = ImageRows(np.repeat(rows.pixels[:1], 6, axis=0), np.zeros(6, np.int64))
    blended.rows = same  # All images and labels equal: blending changes nothing.
    plain.rows = same
    assert blended.loss(places).item() == pytest.approx(plain.loss(places).item(), rel=1e-5)


def test_a_row_of_two_images_has_their_mean():
    torch.manual_seed(0)
    both = pixels(8, 16, 1).reshape(4, 2, 16, 16, 1)
    codes = np.array([0, 1, 0, 1])
    network = scratch_network(16, 1, 2, width=8, layers=1, dropout=0.0)
    params = ImageTrainingParams(shift=0.0, flip=False)
    found = ImageLearner(network, ImageRows(both, codes), 2, params, FitContext()).logits(
        ImageRows(both, codes)
    )
    apart = [
        ImageLearner(network, ImageRows(both[:, [n]], codes), 2, params, FitContext()).logits(
            ImageRows(both[:, [n]], codes)
        )
        for n in range(2)
    ]
    assert np.abs(found - np.mean(apart, axis=0)).max() < 1e-5


@pytest.mark.parametrize("wrong", [{"shift": 0.6}, {"erase": 1.5}, {"mixup": -1.0}, {"dropout": 1.0}])
def test_a_parameter_out_of_range_is_named(wrong):
    with pytest.raises(RungError) as caught:
        ImageTrainingParams(**wrong)
    assert next(iter(wrong)) in str(caught.value)
