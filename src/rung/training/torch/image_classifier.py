"""An image classifier for the trainer: rows as pixels, changed at random while they are learned from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from rung.core.model import FitContext
from rung.modalities.images.network_params import ImageTrainingParams
from rung.modalities.images.reading import images_at_once
from rung.training.torch.classifier import ClassifierLearner

Ints = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ImageRows:
    """Rows as pixels, uint8 [rows, fields, height, width, channels], with the number of each row's label."""

    pixels: Pixels
    codes: Ints

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def lengths(self) -> Ints:
        return np.ones(len(self), np.int64)

    def join(self, other: ImageRows) -> ImageRows:
        """Return the rows of both."""
        return ImageRows(
            np.concatenate([self.pixels, other.pixels]), np.concatenate([self.codes, other.codes])
        )


class ImageLearner(ClassifierLearner[ImageRows]):
    """A network over images; the logits of a row are the mean of those of its image fields."""

    def __init__(
        self,
        module: nn.Module,
        rows: ImageRows,
        labels: int,
        params: ImageTrainingParams,
        context: FitContext,
        validation: ImageRows | None = None,
    ) -> None:
        super().__init__(module, rows, labels, params, context, validation)
        self.augment = params

    def loss(self, rows: Ints) -> Tensor:
        if not self.augment.mixup or len(rows) < 2:
            return super().loss(rows)
        share = float(torch.distributions.Beta(self.augment.mixup, self.augment.mixup).sample())
        partners = rows[torch.randperm(len(rows)).numpy()]
        images = self._images(self.rows, rows).float()
        other = self._images(self.rows, partners).float()
        logits = self._mean_logits(images * share + other * (1.0 - share), len(rows))
        return share * self.loss_of(logits, rows) + (1.0 - share) * self.loss_of(logits, partners)

    def outputs(self, rows: ImageRows, places: Ints) -> Tensor:
        return self._mean_logits(self._images(rows, places), len(places))

    def batches(self, rows: ImageRows) -> Iterator[Ints]:
        _, fields, height, width, _ = rows.pixels.shape
        size = images_at_once(width, fields * height)
        places = np.arange(len(rows))
        yield from (places[start : start + size] for start in range(0, len(rows), size))

    def _images(self, rows: ImageRows, places: Ints) -> Tensor:
        """Return uint8 [places * fields, height, width, channels], augmented in training."""
        device = next(self.module.parameters()).device
        images = torch.as_tensor(rows.pixels[places], device=device).flatten(0, 1)
        return augmented(images, self.augment) if self.module.training else images

    def _mean_logits(self, images: Tensor, rows: int) -> Tensor:
        found: Tensor = self.module(images)
        return found.reshape(rows, -1, found.shape[-1]).mean(dim=1)


def augmented(images: Tensor, params: ImageTrainingParams) -> Tensor:
    """Return images [images, height, width, channels], each shifted, mirrored and blanked in part by chance."""
    count, height, width, _ = images.shape
    device = images.device
    numbers = torch.arange(count, device=device)
    rows, columns = (
        _shifted(count, length, round(params.shift * length), device) for length in (height, width)
    )
    if params.flip:
        mirrored = torch.rand(count, device=device) < 0.5
        columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    out = images[numbers[:, None, None], rows[:, :, None], columns[:, None, :]]
    if params.erase:
        out = _erased(out, params.erase)
    return out


def _shifted(count: int, length: int, most: int, device: torch.device) -> Tensor:
    """Return [count, length]: which places each image is read at; beyond an edge the edge repeats."""
    by = torch.randint(-most, most + 1, (count, 1), device=device)
    return (torch.arange(length, device=device)[None] + by).clamp(0, length - 1)


def _erased(images: Tensor, share: float) -> Tensor:
    """Return images of which a share has a square at their mean level (DeVries & Taylor 2017)."""
    count, height, width, _ = images.shape
    device = images.device
    inside = torch.ones(count, height, width, dtype=torch.bool, device=device)
    for dim, length in ((1, height), (2, width)):
        side = torch.randint(1, max(length // 2, 1) + 1, (count, 1), device=device)
        start = (torch.rand(count, 1, device=device) * (length - side + 1)).long()
        places = torch.arange(length, device=device)[None]
        part = (places >= start) & (places < start + side)
        inside &= part[:, :, None] if dim == 1 else part[:, None, :]
    inside &= (torch.rand(count, device=device) < share)[:, None, None]
    level = images.float().mean(dim=(1, 2), keepdim=True).to(images.dtype)
    return torch.where(inside[..., None], level, images)
