"""Object detection: the packaged detector against its reference, and a head of one's own on real photos it has not seen.

    python benchmarks/detection.py            # both parts; processor time of one thread

The reference are boxes that @tensorflow/tfjs 4.22.0 gave for scikit-learn's two pictures, kept in tests/training/images/centernet.json.
The photos are those of `python examples/fetch.py crowns`; each is held out in turn. Needs `rung weights fetch centernet`.
Writes benchmarks/results/detection.md.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_sample_images

from rung.core.blobs import Blob, blob_of_file
from rung.core.model import FitContext
from rung.core.types import Prediction, Schema
from rung.data.sources.read import open_source, read_rows
from rung.modalities.images.box_metrics import AveragePrecision, FalseBoxes, image_f1, precision, recall
from rung.modalities.images.boxes import boxes_of, corners_of, overlaps
from rung.modalities.images.coco_labels import COCO
from rung.modalities.images.png import write_png
from rung.training.images.box_threshold import choose_threshold
from rung.training.images.detector_export import make_detector, open_packaged
from rung.training.images.detector_head import Cells, fit_head, sample_cells

ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).parent / "results" / "detection.md"
REFERENCE = ROOT / "tests" / "training" / "images" / "centernet.json"
CROWNS = ROOT / "examples" / "crowns" / "data"
SIDE, HIDDEN, EPOCHS, LEAST = 512, 48, 12, 0.05
METRICS = (image_f1(), recall(), precision(), FalseBoxes(), AveragePrecision("map50", (0.5,)))
# Training tiles on which the threshold is chosen; the head has learned from them.
THRESHOLD_TILES = 24


def picture(name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return columns 64 to 576 of one of scikit-learn's pictures in a square of 512 pixels, grey below."""
    pixels = np.full((512, 512, 3), 128, np.uint8)
    pixels[:427] = load_sample_images().images[("china", "flower").index(name)][:, 64:576]
    return pixels


def against_reference() -> list[str]:
    """Return a row of the table for each picture: boxes, the smallest overlap with the reference, the largest gap of scores."""
    detector, labels, rows = open_packaged(), list(COCO), []
    for name, expected in json.loads(REFERENCE.read_text()).items():
        image = Blob.of(write_png(picture(name)))
        found = detector.detect([image], expected[-1][4] - 1e-3)[0]
        seconds = []
        for _ in range(10):
            begun = time.process_time()
            detector.detect([image], 0.3)
            seconds.append(time.process_time() - begun)
        shared, gaps = [], []
        for box in found:
            same = [row for row in expected if labels[int(row[5])] == box.label]
            corners = np.array([row[:4] for row in same]).reshape(-1, 4).clip(0, 512)
            over = overlaps(corners_of([box]), corners)[0]
            best = min(range(len(same)), key=lambda i: (abs(same[i][4] - (box.score or 0)), -over[i]))
            shared.append(float(over[best]))
            gaps.append(abs(same[best][4] - (box.score or 0.0)))
        rows.append(
            f"| {name} | {len(found)} | {min(shared):.5f} | {max(gaps):.1e} | {np.median(seconds) * 1e3:.0f} |"
        )
    return rows


def held_out() -> tuple[list[str], float]:
    """Return a row of the table for each photo, and processor seconds of a tile."""
    rows = [row for row in read_rows(open_source(CROWNS)) if row.values]
    photos = sorted({row.values["folder"] for row in rows if row.values})
    images, truths, cells = {}, {}, {}
    for photo in photos:
        own = [row.values for row in rows if row.values and row.values["folder"] == photo]
        images[photo] = [blob_of_file(CROWNS / values["image"]) for values in own]
        truths[photo] = [boxes_of(values["boxes"]) for values in own]
        cells[photo] = sample_cells(images[photo], truths[photo], ("tree",), SIDE, FitContext())
    table, spent, tiles = [], 0.0, 0
    for photo in photos:
        others = [name for name in photos if name != photo]
        joined = Cells(
            *(
                np.concatenate([getattr(cells[name], part) for name in others])
                for part in ("context", "heat", "reach")
            )
        )
        detector = make_detector(("tree",), SIDE, fit_head(joined, FitContext(), HIDDEN, EPOCHS), 0.4)
        known = [pair for name in others for pair in zip(images[name], truths[name], strict=True)]
        known = known[:: max(len(known) // THRESHOLD_TILES, 1)]
        threshold = choose_threshold(
            [truth for _, truth in known], detector.detect([image for image, _ in known], LEAST), "box_f1"
        )
        begun = time.process_time()
        found = detector.detect(images[photo], LEAST)
        spent, tiles = spent + time.process_time() - begun, tiles + len(found)
        answers = [
            Prediction(
                tuple(b for b in boxes if (b.score or 0) >= threshold), extra={"candidates": tuple(boxes)}
            )
            for boxes in found
        ]
        scores = [metric.score(truths[photo], answers, Schema((), ())) for metric in METRICS]
        count = sum(map(len, truths[photo]))
        table.append(
            f"| {photo} | {len(found)} | {count} | " + " | ".join(f"{score:.3f}" for score in scores) + " |"
        )
        print(table[-1], flush=True)
    return table, spent / tiles


def main() -> None:
    """Measure both parts and write the page."""
    if not CROWNS.is_dir():
        sys.exit("python examples/fetch.py crowns")
    names = ", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "numpy", "pillow"))
    reference = against_reference()
    print(*reference, sep="\n", flush=True)
    photos, each = held_out()
    RESULT.write_text(
        f"""# Object detection

Written by `benchmarks/detection.py` on {date.today()}; {platform.machine()}, {os.cpu_count()} cores shared with other work; Python {platform.python_version()}, {names}. One thread.

## The packaged detector against its reference

CenterNet of npm @vladmandic/human 3.3.6 as ONNX, against @tensorflow/tfjs 4.22.0 on the same file and pixels: the 20 surest detections in
scikit-learn's two pictures. Every box answered (after thinning out) against the reference's box of the same label and score.

| picture | boxes | smallest overlap (IoU) | largest gap of scores | CPU ms an image |
|---|---|---|---|---|
{chr(10).join(reference)}

## A head of one's own on photos that it has not seen

Tree crowns on four aerial photos (deepforest 2.1.0, MIT), cut into tiles of 256 pixels, photo-4 the largest. Each photo is held out in turn; the head learns from the
three others ({HIDDEN} hidden units, {EPOCHS} epochs, seed 0) and takes its threshold from {THRESHOLD_TILES} tiles that it learned from. Means over tiles, overlap 0.5. `false_boxes` counts 20 of a tile
at most. {each * 1e3:.0f} CPU ms a tile, decoding included.

| held out | tiles | crowns | {" | ".join(metric.name for metric in METRICS)} |
|---|---|---|{"---|" * len(METRICS)}
{chr(10).join(photos)}

Three photos teach little about a fourth, whose light, scale and trees differ. Four photos are four units: nothing can be certified. What was tried
is in docs/log.md.
""",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
