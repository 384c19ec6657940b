"""Parameters of image networks that are trained."""

from __future__ import annotations

from dataclasses import dataclass

from rung.core.training_params import ClassifierParams, require_limits


@dataclass(frozen=True)
class ImageTrainingParams(ClassifierParams):
    """Parameters of training on images.

    side: at which images are read, in pixels; None goes by the training images. shift: training images are moved by up
    to this share of their side. flip: mirror half of them; None does so where a short training is better with it. erase:
    share of training images of which a square of up to half their side is blanked. mixup: parameter of the beta
    distribution by which pairs of images are blended (Zhang et al. 2018); 0 blends none. most_rows: training rows at
    most; None goes by the effort. dropout: before the classifier. The rest as in TrainingParams and ClassifierParams.
    """

    side: int | None = None
    shift: float = 0.1
    flip: bool | None = None
    erase: float = 0.0
    mixup: float = 0.0
    most_rows: int | None = None
    dropout: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        limits = {"shift": (0.0, 0.5), "erase": (0.0, 1.0), "mixup": (0.0, 10.0), "dropout": (0.0, 0.9)}
        require_limits(self, limits)
