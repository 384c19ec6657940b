"""What checks ask of an image: its size, its grey levels at 16 x 16, how sharp it is. A build keeps it on disk.

Decoding photos takes most of the time in which data is prepared; a build that was killed there finds what it had decoded.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt

from rung.core.blobs import Blob
from rung.modalities.images.decode import Preprocessing, read_header
from rung.modalities.images.features import sharpness
from rung.modalities.images.reading import RECENT
from rung.runtime.embeddings.settings import embedding_cache_settings

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
# What tells nearly equal images, brightness and contrast.
SMALL = Preprocessing(16, 16, "grey", resample="area")
_LEVELS = SMALL.width * SMALL.height
# Raise it when a look would change, so that kept ones are not used.
_VERSION = 1
# Looks that a process keeps, by content: about 40 MB.
_MOST_KEPT = 65_536


@dataclass(frozen=True)
class Look:
    """width, height: as displayed. animated: has more than one frame. small: the means of 16 x 16 areas in grey."""

    width: int
    height: int
    animated: bool
    sharpness: float
    small: Pixels

    def vector(self) -> Floats:
        """Return the look as numbers, all of which single precision holds."""
        head = np.array([self.width, self.height, self.animated, self.sharpness], np.float32)
        return np.concatenate([head, self.small.ravel().astype(np.float32)])

    @staticmethod
    def of_vector(vector: Floats) -> Look:
        """Return the look that `vector` gave."""
        width, height, animated, sharp = vector[:4].tolist()
        small = vector[4:].astype(np.uint8).reshape(SMALL.shape)
        return Look(int(width), int(height), bool(animated), sharp, small)


class RecentLooks:
    """The last looks of a process, by content; while a build runs, all of them on disk."""

    def __init__(self, most: int = _MOST_KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[str, Look] = OrderedDict()
        self._lock = Lock()
        self._filing = Lock()

    def at(self, blob: Blob) -> Look:
        """Return what checks ask of an image. Safe to call from several threads.

        The whole image is decoded, so that a damaged one is found here: raises InputError for one that cannot be read.
        """
        with self._lock:
            if blob.sha256 in self._kept:
                self._kept.move_to_end(blob.sha256)
                return self._kept[blob.sha256]
        found = self._filed(blob)
        with self._lock:
            self._kept[blob.sha256] = found
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return found

    def _filed(self, blob: Blob) -> Look:
        settings = embedding_cache_settings()
        if settings is None:
            return _look(blob)
        with self._filing:
            cache = settings.kept_open(f"looks {_VERSION}", 4 + _LEVELS, "float32")
            return Look.of_vector(cache.embed([blob.sha256], lambda _: _look(blob).vector()[None])[0])


def _look(blob: Blob) -> Look:
    data = blob.read()
    header = read_header(data, blob.shown())
    image = RECENT.load(blob, data=data)
    # Rounded here: a look that was kept and one that was not are equal.
    sharp = float(np.float32(round(sharpness(image), 4)))
    return Look(header.width, header.height, header.animated, sharp, SMALL.apply(image))


LOOKS = RecentLooks()
