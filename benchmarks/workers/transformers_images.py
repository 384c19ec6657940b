"""Transformers' feature pipeline on MobileNetV2 with scikit-learn's logistic regression: pixels in, figures out.

    python workers/transformers_images.py DATA.npz WEIGHTS.npz SIDE
    python workers/transformers_images.py --bare BATCH.npy WEIGHTS.npz

DATA holds the images and labels of both parts; WEIGHTS torchvision's tensors, in the order of their network.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from transformers import MobileNetV2Config, MobileNetV2ImageProcessor, MobileNetV2Model, pipeline

ALONE, REPEATS = 200, 20


def network(weights: str) -> MobileNetV2Model:
    """Return transformers' network with torchvision's tensors: the layers are the same, in the same order."""
    model = MobileNetV2Model(MobileNetV2Config(tf_padding=False, layer_norm_eps=1e-5)).eval()
    given = [value for name, value in np.load(weights).items() if not name.startswith("classifier")]
    mine = model.state_dict()
    for (name, old), new in zip(mine.items(), given, strict=True):
        if tuple(old.shape) != new.shape:
            raise ValueError(f"{name} has the shape {tuple(old.shape)}, not {new.shape}")
    model.load_state_dict(
        {name: torch.as_tensor(new) for name, new in zip(mine, given, strict=True)}, strict=True
    )
    return model


def main(data: str, weights: str, side: int) -> None:
    """Fit on the training images, answer the test images, together and one by one; print the figures."""
    torch.set_num_threads(1)
    rows = np.load(data)
    # Those with which torchvision trained; the processor's own default is 0.5.
    processor = MobileNetV2ImageProcessor(
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    extract: Any = pipeline(
        "image-feature-extraction", model=network(weights), image_processor=processor, pool=True, device="cpu"
    )

    def features(images: Any) -> Any:
        pictures = [Image.fromarray(image).convert("RGB") for image in images]
        return np.array([found[0] for found in extract(pictures, batch_size=16)])

    begun = time.process_time()
    head = LogisticRegression(max_iter=1000).fit(features(rows["train"]), rows["y"])
    fit = time.process_time() - begun
    begun = time.process_time()
    said = head.predict(features(rows["test"]))
    batch = time.process_time() - begun
    begun = time.process_time()
    for image in rows["test"][:ALONE]:
        head.predict(features(image[None]))
    single = (time.process_time() - begun) / ALONE
    found = {
        "accuracy": float((said == rows["z"]).mean()), "fit_s": fit, "single_ms": single * 1e3,
        "batch_ms": batch / len(said) * 1e3, "fit_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }  # fmt: skip
    print("RESULT" + json.dumps(found))


def bare(batch: str, weights: str) -> None:
    """Print the processor milliseconds of an image in the network alone, the best of several batches."""
    torch.set_num_threads(1)
    model, images = network(weights), torch.as_tensor(np.load(batch)).permute(0, 3, 1, 2).float() / 255
    seconds = []
    with torch.inference_mode():
        for _ in range(REPEATS):
            begun = time.process_time()
            model((images - 0.45) / 0.225)
            seconds.append(time.process_time() - begun)
    print("RESULT" + json.dumps({"ms": min(seconds) / len(images) * 1e3}))


if __name__ == "__main__":
    if sys.argv[1] == "--bare":
        bare(*sys.argv[2:])
        sys.exit()
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
