"""Read the images of a column. A process keeps the last ones it decoded; a build keeps all of them on disk."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.activity import doing, note
from rung.core.blobs import Blob
from rung.modalities.images.decode import LEAST_SIDE, Preprocessing, load, read_header
from rung.runtime.embeddings.settings import embedding_cache_settings

Pixels = npt.NDArray[np.uint8]
# Images that are decoded before they are written to the build's cache: what a killed build decodes again.
_AT_ONCE = 512
# Pixels of loaded images that a process keeps: 64 MB as RGB, which Pillow holds in 4 bytes.
_MOST_KEPT = 16_000_000


# Pixels that run through a network together.
_BATCH_PIXELS = 150_000


class RecentImages:
    """The last loaded images by content, so that checking an upload and answering it decode it once."""

    def __init__(self, most_pixels: int = _MOST_KEPT) -> None:
        self._most = most_pixels
        self._kept: OrderedDict[tuple[str, int, int], Any] = OrderedDict()
        self._pixels = 0
        self._lock = Lock()

    def load(
        self, blob: Blob, least_side: int = LEAST_SIDE, background: int = 255, data: bytes | None = None
    ) -> Any:
        """Return the image of a blob as `decode.load` does. The result is shared: it is only to be read.

        data: the blob's bytes, where they were read already.
        """
        key = (blob.sha256, least_side, background)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        image = load(blob.read() if data is None else data, blob.shown(), least_side, background)
        pixels = image.size[0] * image.size[1]
        if pixels * 2 <= self._most:
            with self._lock:
                if key not in self._kept:
                    self._kept[key] = image
                    self._pixels += pixels
                while self._pixels > self._most:
                    _, oldest = self._kept.popitem(last=False)
                    self._pixels -= oldest.size[0] * oldest.size[1]
        return image


RECENT = RecentImages()


def read_pixels(images: Sequence[Blob | None], preprocessing: Preprocessing) -> Pixels:
    """Return uint8 [images, *preprocessing.shape]; a missing image is all background.

    While a build runs, by its threads and through its cache. Raises InputError for an image that cannot be read.
    """
    settings = embedding_cache_settings()
    if settings is None:
        return _decode(images, preprocessing, 1)
    threads = settings.threads
    width = int(np.prod(preprocessing.shape))
    cache = settings.cache(f"pixels {json.dumps(preprocessing.as_dict())}", width, "uint8")
    out = np.empty((len(images), width), np.uint8)
    # A piece that a backbone asks for is a step of its own work.
    with doing("decode", len(images)) if len(images) > _AT_ONCE else nullcontext():
        for begin in range(0, len(images), _AT_ONCE):
            piece = images[begin : begin + _AT_ONCE]
            by_hash = {_key(image): image for image in piece}

            def decode_missing(keys: list[str], known: dict[str, Blob | None] = by_hash) -> Pixels:
                return _decode([known[key] for key in keys], preprocessing, threads).reshape(len(keys), width)

            out[begin : begin + _AT_ONCE] = cache.embed([_key(image) for image in piece], decode_missing)
            if len(images) > _AT_ONCE:
                note(begin + len(piece))
    return out.reshape(len(images), *preprocessing.shape)


def images_at_once(width: int, height: int) -> int:
    """Return how many images of a size a network reads in one batch: of more, activations leave the processor's cache."""
    return max(_BATCH_PIXELS // max(width * height, 1), 1)


def read_sizes(images: Sequence[Blob]) -> npt.NDArray[np.int64]:
    """Return [images, 2]: width and height as displayed, from what is known of each blob, else from its header."""
    found = []
    for image in images:
        if image.measures.get("width"):
            found.append((int(image.measures["width"]), int(image.measures["height"])))
        else:
            header = read_header(image.read(), image.shown())
            found.append((header.width, header.height))
    return np.array(found, np.int64).reshape(len(found), 2)


def _key(image: Blob | None) -> str:
    return image.sha256 if image is not None else ""


def _decode(images: Sequence[Blob | None], preprocessing: Preprocessing, threads: int) -> Pixels:
    out = np.full((len(images), *preprocessing.shape), preprocessing.background, np.uint8)

    def one(row: int) -> None:
        image = images[row]
        if image is not None:
            loaded = RECENT.load(image, preprocessing.least_side, preprocessing.background)
            out[row] = preprocessing.apply(loaded)

    if threads > 1 and len(images) > 1:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, range(len(images))))
    else:
        for row in range(len(images)):
            one(row)
    return out
