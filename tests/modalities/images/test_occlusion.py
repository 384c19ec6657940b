"""Heat maps: what is covered where it decides moves the label's probability."""

import io

import numpy as np
import pytest
from PIL import Image

from rung.core.blobs import Blob
from rung.modalities.images.occlusion import explain_images
from rung.modalities.images.reading import RECENT


def blob(image):
    out = io.BytesIO()
    image.save(out, "PNG")
    return Blob.of(out.getvalue())


def bright_corner(inputs):
    """Return the probability of "bright": that the upper left quarter of the image is."""
    levels = [np.asarray(RECENT.load(image).convert("L")).astype(float) for image in inputs["image"]]
    share = np.array([level[: len(level) // 2, : level.shape[1] // 2].mean() / 255 for level in levels])
    return np.stack([share, 1 - share], axis=1)


@pytest.mark.parametrize("mode,ink", [("L", 255), ("RGB", (255, 255, 255))])
def test_the_region_that_decides_is_found(mode, ink):
    image = Image.new(mode, (600, 300), 0)
    image.paste(ink, (0, 0, 300, 150))
    (reasons,) = explain_images({"image": [blob(image)]}, bright_corner, 8)
    assert reasons and all(reason.weight > 0 for reason in reasons)
    for reason in reasons:
        x, y, width, height = reason.region
        assert x < 0.5 and y < 0.5 and 0 < width < 0.2 and 0 < height < 0.2
    assert reasons[0].text.startswith("x ") and reasons[0].as_dict()["region"] == list(reasons[0].region)


def test_a_missing_image_has_no_reasons_and_a_tiny_one_does_not_fail():
    tiny = blob(Image.new("RGB", (1, 1), (200, 0, 0)))
    found = explain_images({"image": [None, tiny]}, lambda inputs: np.full((len(inputs["image"]), 2), 0.5), 8)
    assert found == [[], []]
