"""Vectors of the pictures of items: features of a backbone that was trained on ImageNet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rung.core.errors import RungError
from rung.core.model import FitContext
from rung.modalities.recommendation.catalogue import Item
from rung.modalities.recommendation.item_content import unit
from rung.training.recommendation.interactions import Floats

_BACKBONE = "efficientnet_lite0"


def missing_pictures(context: FitContext) -> RungError | None:
    """Return why pictures of items cannot be used: weights that are not fetched; None where the product has no pictures."""
    from rung.runtime.weights.store import missing_weights

    items = (context.options.get("recommend") or {}).get("items") or {}
    return missing_weights(_BACKBONE) if items.get("image") else None


def picture_vectors(items: Sequence[Item]) -> Floats:
    """Return [items, width], centred, each of length 1, or 0 for an item without a picture; width 0 where no item has one."""
    rows = [row for row, item in enumerate(items) if item.image is not None]
    if not rows:
        return np.zeros((len(items), 0))
    from rung.training.images.backbone_export import open_extractor
    from rung.training.images.fit import backbone_side, typical_side

    images = [items[row].image for row in rows]
    extractor = open_extractor(_BACKBONE, backbone_side(typical_side({"image": images})), "pad")
    features = extractor.extract(images).astype(np.float64)
    found = np.zeros((len(items), features.shape[1]))
    found[rows] = unit(features - features.mean(axis=0))
    return found
