"""Features of images for active learning: those of a backbone whose weights are here, else gradients and pixels."""

from __future__ import annotations

import numpy as np

from rung.annotation.featurizer import Vectors, centred
from rung.core.blobs import Blob
from rung.core.errors import RungError
from rung.core.types import Columns
from rung.data.labels.pool import Pool
from rung.modalities.images.decode import Preprocessing
from rung.modalities.images.extractor import Extractor, PixelExtractor
from rung.runtime.embeddings.settings import use_embedding_cache
from rung.runtime.weights.store import cache_folder
from rung.training.images.backbone_export import open_extractor
from rung.training.images.fit import backbone_side, fit_factors, read_colour, typical_side

_BACKBONES = ("efficientnet_lite0", "mobilenet_v2")
_SIDE, _CELLS = 48, (8,)


def image_vectors(pool: Pool, weights: str, threads: int) -> tuple[str, Vectors]:
    """Return the name of the features and [rows, width], centred and of length 1.

    weights: a backbone's name, "auto" for the best one that is here, or "none" for gradients and pixels. Raises RungError
    when the named weights are not here, DataError where no row has an image.
    """
    images = [[cell for cell in row.cells.values() if isinstance(cell, Blob)] for row in pool.rows]
    columns = {
        str(n): [found[n] if n < len(found) else None for found in images]
        for n in range(max(map(len, images)))
    }
    with use_embedding_cache(cache_folder() / "embeddings", threads):
        name, extractor = _open(weights, columns)
        found = np.hstack([extractor.extract(column) for column in columns.values()])
    return name, centred(found)


def _open(weights: str, columns: Columns) -> tuple[str, Extractor]:
    names = {"auto": _BACKBONES, "none": ()}.get(weights, (weights,))
    for name in names:
        try:
            return name, open_extractor(name, backbone_side(typical_side(columns)), "stretch")
        except RungError:
            if weights != "auto":
                raise
    colour = read_colour(columns, "auto", _SIDE)
    pixels = PixelExtractor(Preprocessing(_SIDE, _SIDE, colour), _CELLS, _SIDE // 2)
    return "hog", PixelExtractor(pixels.preprocessing, _CELLS, _SIDE // 2, fit_factors(pixels, columns, 0.5))
