"""Backbones written as ONNX answer as PyTorch does, and ship without their classifier."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from rung.core.blobs import Blob
from rung.core.errors import RungError
from rung.modalities.images.backbone import Backbone
from rung.modalities.images.decode import Preprocessing
from rung.modalities.images.png import write_png
from rung.runtime.embeddings.settings import use_embedding_cache
from rung.training.images.backbone_export import backbone_folder, read_network
from rung.training.images.convnet_onnx import write_convnet
from rung.training.images.mobilenet_v2 import mobilenet_v2 as build_mobilenet

# Of torch 2.13.0: torchvision's definition of MobileNetV2, and efficientnet_lite_pytorch 0.1.0; 40 of 1,000 logits.
EXPECTED = json.loads((Path(__file__).parent / "logits.json").read_text())
NAMES = ("mobilenet_v2", "efficientnet_lite0")


@pytest.fixture(params=NAMES)
def name(request, mobilenet_v2, efficientnet_lite0):
    return request.param


def picture(side):
    """The image whose logits were kept."""
    y, x = np.mgrid[0:side, 0:side]
    pixels = np.stack([(x * 3 + y) % 256, (x * y // 8) % 256, (255 - 2 * x + 3 * y) % 256], -1).astype(
        np.uint8
    )
    pixels[side // 4 : side // 2, side // 4 : 3 * side // 4] = [220, 40, 30]
    return pixels


def test_the_logits_are_those_of_torch(name):
    model = write_convnet(read_network(name), logits=True)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for side in (64, 97, 224):
        (logits,) = session.run(["logits"], {"images": picture(side)[None]})[0]
        expected = dict(EXPECTED[f"{name}/{side}"])
        assert logits.argmax() == expected.pop("argmax")
        assert max(abs(logits[int(place)] - value) for place, value in expected.items()) < 1e-3


def test_a_shipped_backbone_gives_features_of_length_one_whatever_stands_beside(name, tmp_path):
    backbone = Backbone.open(backbone_folder(name))
    assert (backbone.folder / "model.onnx").stat().st_size < 14_000_000 and backbone.config.licence
    images = [Blob.of(write_png(np.roll(picture(48), shift, axis=1)), f"{shift}.png") for shift in range(5)]
    way = Preprocessing(64, 64)
    together = backbone.embed(images, way)
    assert together.shape == (5, backbone.width) and np.allclose(
        np.linalg.norm(together, axis=1), 1, atol=1e-5
    )
    assert np.allclose(backbone.embed(images[3:4], way), together[3:4], atol=1e-5)
    with use_embedding_cache(tmp_path, 2):
        first, again = backbone.embed(images, way), backbone.embed(images[::-1], way)
    assert np.allclose(first, together, atol=1e-5) and np.array_equal(first[::-1], again)


def test_other_tensors_are_refused(mobilenet_v2):
    with pytest.raises(RungError, match=r"features\.0\.0\.weight"):
        build_mobilenet({})


def test_an_unknown_backbone_is_an_error():
    with pytest.raises(RungError, match="resnet"):
        backbone_folder("resnet")


def test_weights_that_are_not_here_are_named():
    with pytest.raises(RungError) as caught:
        backbone_folder("mobilenet_v2")
    assert "rung weights fetch mobilenet_v2" in caught.value.fix
