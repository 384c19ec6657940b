"""The packaged detector as ONNX answers as TensorFlow.js does; a head of one's own learns."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from rung.core.blobs import Blob
from rung.core.errors import RungError
from rung.core.model import FitContext
from rung.modalities.images.boxes import Box, corners_of, overlaps
from rung.modalities.images.coco_labels import COCO
from rung.modalities.images.detector import Detector
from rung.modalities.images.png import write_png
from rung.testing import tiny_examples
from rung.training.images.box_threshold import choose_threshold
from rung.training.images.detector_export import HeadWeights, make_detector, open_packaged
from rung.training.images.detector_head import cell_targets, fit_head, sample_cells
from rung.training.images.tfjs_graph import read_tfjs

# Of @tensorflow/tfjs 4.22.0, node `tower_0/detections`: corners in a square of 512 pixels, score and class of the 20
# surest detections in scikit-learn's pictures, columns 64 to 576, grey below.
EXPECTED = json.loads((Path(__file__).parent / "centernet.json").read_text())


def square(name):
    names = ("china", "flower")
    pixels = np.full((512, 512, 3), 128, np.uint8)
    pixels[:427] = load_sample_images().images[names.index(name)][:, 64:576]
    return pixels


@pytest.mark.parametrize("name", EXPECTED)
def test_boxes_are_those_of_the_reference(name, centernet):
    detector = open_packaged()
    least = EXPECTED[name][-1][4] - 1e-3
    found = detector.detect([Blob.of(write_png(square(name)))], least)[0]
    # Ours are thinned out, so every one of ours is one of the reference.
    labels = list(COCO)
    expected = [
        Box(labels[int(row[5])], row[0], row[1], row[2] - row[0], row[3] - row[1], row[4])
        for row in EXPECTED[name]
    ]
    corners = corners_of(expected).clip(0, 512)
    assert found
    for box in found:
        same = [
            i
            for i, other in enumerate(expected)
            if other.label == box.label and abs(other.score - box.score) < 2e-3
        ]
        shared = overlaps(corners_of([box]), corners[same])
        assert shared.max(initial=0.0) >= 0.99, box
    assert abs(found[0].score - expected[0].score) < 2e-3 and found[0].label == expected[0].label


def test_files_of_another_kind_are_refused(tmp_path):
    (tmp_path / "model.json").write_text('{"format": "layers-model"}')
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(RungError, match=r"no graph of TensorFlow\.js"):
        read_tfjs(tmp_path / "model.json", tmp_path / "model.bin")


def test_weights_that_are_cut_off_are_refused(tmp_path, centernet):
    from rung.runtime.weights.store import weights_folder

    folder = weights_folder("centernet")
    cut = tmp_path / "cut.bin"
    cut.write_bytes((folder / "centernet.bin").read_bytes()[:-100])
    with pytest.raises(RungError, match=r"no graph of TensorFlow\.js"):
        read_tfjs(folder / "centernet.json", cut)


def test_what_a_head_should_say_at_each_cell():
    boxes = (Box("a", 0, 0, 128, 128), Box("b", 56, 56, 16, 16), Box("a", 120, 120, 1, 1))
    heat, reach = cell_targets(boxes, ("a", "b"), 128, (128, 128), (32, 32))
    assert heat[16, 16].tolist() == [1.0, 1.0]
    assert np.exp(reach[16, 16]) == pytest.approx([8, 8, 8, 8], rel=1e-4)  # The smaller one has the cell.
    assert heat[30, 30, 0] == 1.0  # A thing smaller than a cell teaches too.
    assert 0.0 < heat[8, 12, 0] < 0.5 and heat[8, 8, 1] < 1e-6
    empty, nothing = cell_targets((), ("a", "b"), 128, (128, 128), (32, 32))
    assert not empty.any() and np.isnan(nothing).all()


def test_a_head_learns_squares_and_is_the_same_again(centernet):
    _, examples = tiny_examples("object_detection")
    rows = examples.take(list(range(8)))
    (images,) = rows.inputs.values()
    context = FitContext(seed=3)
    cells = sample_cells(images, rows.targets, ("square",), 256, context)
    heads = [fit_head(cells, context, 16, 8) for _ in range(2)]
    assert all(np.array_equal(a, b) for a, b in zip(heads[0].heat, heads[1].heat, strict=True))
    detector = make_detector(("square",), 256, heads[0], 0.4)
    found = detector.detect(images, 0.5)
    for truth, boxes in zip(rows.targets, found, strict=True):
        shared = overlaps(corners_of(truth), corners_of(boxes))
        assert not truth or (boxes and (shared.max(axis=1) >= 0.5).all())


def test_a_saved_detector_answers_alike(tmp_path, centernet):
    zero = [np.zeros((512, 4), np.float32), np.zeros(4, np.float32)]
    heat = (np.zeros((4, 1), np.float32), np.full(1, 3.0, np.float32))
    sizes = (np.zeros((4, 4), np.float32), np.full(4, 2.5, np.float32))
    detector = make_detector(("a",), 128, HeadWeights((zero[0], zero[1]), heat, sizes), 0.4)
    detector.save(tmp_path)
    image = Blob.of(write_png(np.zeros((64, 64, 3), np.uint8)))
    again = Detector.open(tmp_path).detect([image, None], 0.5)
    assert again == detector.detect([image, None], 0.5) and again[0] and again[1] == []


def test_the_threshold_goes_by_what_the_bar_asks():
    truth = (Box("a", 0, 0, 10, 10), Box("a", 30, 0, 10, 10))
    found = [
        Box("a", 0, 0, 10, 10, 0.9),
        Box("a", 60, 0, 10, 10, 0.6),
        Box("a", 30, 0, 10, 10, 0.5),
        Box("a", 90, 0, 9, 9, 0.2),
    ]
    assert choose_threshold([truth], [found], "box_recall") == pytest.approx(0.5, abs=0.02)
    assert choose_threshold([truth], [found], "false_boxes") == pytest.approx(0.9, abs=0.02)
    assert choose_threshold([truth], [[]], "box_f1") == 0.5
