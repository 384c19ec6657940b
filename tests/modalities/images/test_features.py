"""Features of images, against definitions written out pixel by pixel."""

import numpy as np
import pytest

from rung.modalities.images.features import BINS, hog, is_grey, pixels


def images(count=3, height=16, width=20, channels=None):
    shape = (count, height, width) if channels is None else (count, height, width, channels)
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def slow_hog(image, cell):
    """Dalal & Triggs 2005 as loops: a grey image."""
    levels = np.sqrt(image / 255.0)
    height, width = levels.shape
    cells = np.zeros((height // cell, width // cell, BINS))
    for y in range(height // cell * cell):
        for x in range(width // cell * cell):
            across = levels[y, x + 1] - levels[y, x - 1] if 0 < x < width - 1 else 0.0
            down = levels[y + 1, x] - levels[y - 1, x] if 0 < y < height - 1 else 0.0
            place = (np.arctan2(down, across) % np.pi) / np.pi * BINS - 0.5
            low, share = int(np.floor(place)) % BINS, place - np.floor(place)
            strength = np.hypot(across, down) / cell**2
            cells[y // cell, x // cell, low] += strength * (1 - share)
            cells[y // cell, x // cell, (low + 1) % BINS] += strength * share
    found = []
    for y in range(len(cells) - 1):
        for x in range(cells.shape[1] - 1):
            block = np.concatenate([cells[y, x], cells[y, x + 1], cells[y + 1, x], cells[y + 1, x + 1]])
            block = np.minimum(block / np.sqrt((block**2).sum() + QUIET), 0.2)
            found.append(block / np.sqrt((block**2).sum() + QUIET))
    return np.concatenate(found)


QUIET = 1e-3


def test_hog_is_what_its_definition_says():
    given = images()
    found = hog(given, (4, 5))
    wanted = [np.concatenate([slow_hog(image, 4), slow_hog(image, 5)]) for image in given]
    assert found.dtype == np.float32 and np.allclose(found, wanted, atol=1e-5)


def test_colour_counts_with_its_strongest_channel():
    given = np.zeros((1, 16, 16, 3), np.uint8)
    given[..., 1] = images(1, 16, 16)
    assert np.allclose(hog(given, (4,)), hog(given[..., 1], (4,)))


def test_an_image_does_not_depend_on_the_others():
    given = images(7, 16, 16, 3)
    for compute in (lambda batch: hog(batch, (4, 8)), lambda batch: pixels(batch, 8)):
        together = compute(given)
        assert np.array_equal(np.concatenate([compute(given[i : i + 1]) for i in range(7)]), together)


def test_flat_images_and_images_smaller_than_a_block():
    assert not hog(np.full((2, 16, 16), 7, np.uint8), (4,)).any()
    assert hog(images(2, 3, 3), (4,)).shape == (2, 0)


@pytest.mark.parametrize("channels", [None, 3])
def test_pixels_are_means_of_areas(channels):
    given = images(2, 12, 8, channels)
    found = pixels(given, 6).reshape(2, 6, 4, -1)
    wanted = given.reshape(2, 6, 2, 4, 2, -1).mean(axis=(2, 4)) / 255
    assert np.allclose(found, wanted, atol=1e-6)
    assert np.allclose(pixels(given, 12), given.reshape(2, -1) / 255)
    assert pixels(given[:0], 6).shape == (0, 24 * (channels or 1))


def test_grey_is_told_from_colour():
    grey = np.repeat(images(2)[..., None], 3, axis=-1)
    assert is_grey(grey) and not is_grey(images(2, channels=3))
