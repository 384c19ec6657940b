"""Boxes: read in all their forms, fitted to an image, compared, thinned out."""

import numpy as np
import pytest

from rung.core.types import Prediction, Schema
from rung.modalities.images.box_metrics import (
    AveragePrecision,
    FalseBoxes,
    image_f1,
    matched,
    precision,
    recall,
)
from rung.modalities.images.boxes import Box, boxes_of, corners_of, fitted, overlaps, suppress
from rung.modalities.images.coco_labels import coco_channels, coco_name
from rung.modalities.images.detector import _peaks, placed

CAT = Box("cat", 10, 20, 30, 40)
NOTHING = Schema((), ())


@pytest.mark.parametrize(
    "given",
    [
        [{"label": "cat", "box": [10, 20, 30, 40]}],
        [{"label": "cat", "bbox": ["10", "20", 30.0, 40]}],
        [{"label": "cat", "x": 10, "y": 20, "width": 30, "height": 40}],
        [{"label": "cat", "xmin": 10, "ymin": 20, "xmax": 40, "ymax": 60}],
        [["cat", 10, 20, 30, 40]],
        (CAT,),
    ],
)
def test_boxes_are_read_in_all_their_forms(given):
    assert boxes_of(given) == (CAT,)


@pytest.mark.parametrize(
    "given,said",
    [
        ("cat", "no list of boxes"),
        ([7], "neither an object nor"),
        ([["cat", 1, 2, 3]], "neither an object nor"),
        ([{"label": "cat"}], "needs `box: \\[x, y, width, height\\]`"),
        ([{"label": " ", "box": [1, 2, 3, 4]}], "box 1 has no label"),
        ([{"label": True, "box": [1, 2, 3, 4]}], "box 1 has no label"),
        ([CAT, ["cat", 1, 2, float("nan"), 4]], "box 2 holds 'nan'"),
        ([["cat", 1, 2, 10**400, 4]], "no number of pixels"),
        ([["cat", 1, 2, 3, "wide"]], "holds 'wide'"),
        ([["cat", 1, 2, 3, 4, 1.5]], "the score of box 1 is 1.5"),
        ([["x" * 201, 1, 2, 3, 4]], "more than 200 characters"),
        ([["cat", 1, 2, 3, 4]] * 10_001, "at most 10,000 are read"),
    ],
)
def test_what_is_no_box_is_said(given, said):
    with pytest.raises(ValueError, match=f"^bad_boxes: .*{said}"):
        boxes_of(given)


def test_boxes_are_cut_at_the_edges_and_repeats_left_out():
    beyond, rounded = Box("cat", 90, 20, 30, 10), Box("cat", 95.5, 0, 5, 5)
    boxes, notes = fitted((CAT, CAT, beyond, rounded), 100, 80)
    assert boxes == (CAT, Box("cat", 90, 20, 10, 10), Box("cat", 95.5, 0, 4.5, 5))
    assert notes == {"cut": 1, "repeated": 1}


@pytest.mark.parametrize(
    "box,said",
    [
        (Box("cat", 10, 10, 0, 5), "it has no area"),
        (Box("cat", 10, 10, 5, -1), "it has no area"),
        (Box("cat", 101, 10, 5, 5), "lies outside the image of 100 x 80"),
        (Box("cat", -5, 10, 5, 5), "lies outside"),
    ],
)
def test_a_box_outside_or_without_area_is_refused(box, said):
    with pytest.raises(ValueError, match=said):
        fitted((CAT, box), 100, 80)


def test_overlaps_and_suppression():
    boxes = [Box("a", 0, 0, 10, 10), Box("a", 0, 0, 10, 5), Box("a", 20, 20, 1, 1), Box("a", 1, 0, 10, 10)]
    corners = corners_of(boxes)
    shared = overlaps(corners, corners)
    assert shared[0].tolist() == pytest.approx([1.0, 0.5, 0.0, 90 / 110])
    scores, one = np.array([0.5, 0.9, 0.1, 0.6]), np.zeros(4, np.int64)
    assert suppress(corners, scores, one, 0.4) == [1, 2]  # The last one shares 45 of 105 with the second.
    assert suppress(corners, scores, one, 0.45) == [1, 3, 2]
    assert suppress(corners, scores, np.array([0, 0, 0, 1]), 0.4) == [1, 3, 2]


def answer(*boxes):
    return Prediction(tuple(boxes), extra={"candidates": tuple(boxes)})


def test_known_values_of_one_image():
    truth = (Box("cat", 0, 0, 10, 10), Box("cat", 20, 0, 10, 10), Box("dog", 40, 0, 10, 10))
    said = answer(
        Box("cat", 0, 0, 10, 8, 0.9),  # Shares 0.8 with the first.
        Box("cat", 0, 0, 10, 10, 0.5),  # The same thing again: false, although it fits better.
        Box("cat", 40, 0, 10, 10, 0.4),  # Another label: false.
        Box("dog", 40, 0, 10, 5, 0.3),  # Shares exactly a half.
    )
    found = matched(truth, said.value)
    assert found.hits == ((0, 0), (3, 2)) and found.false == 2 and found.missed == 1
    rows = [truth], [said], NOTHING
    assert recall().score(*rows) == pytest.approx(2 / 3)
    assert precision().score(*rows) == pytest.approx(0.5)
    assert image_f1().score(*rows) == pytest.approx(4 / 7)
    assert FalseBoxes().score(*rows) == 2
    assert recall(0.81).score(*rows) == pytest.approx(1 / 3)  # The exact one takes the first cat.


def test_images_without_things():
    for metric, value in ((recall(), 1), (precision(), 1), (image_f1(), 1), (FalseBoxes(), 0)):
        assert metric.score([()], [answer()], NOTHING) == value, metric.name
    for metric, value in ((recall(), 1), (precision(), 0), (image_f1(), 0), (FalseBoxes(), 1)):
        assert metric.score([()], [answer(CAT)], NOTHING) == value, metric.name


def test_false_boxes_count_up_to_a_most_so_that_the_mean_has_a_bound():
    many = answer(*(Box("cat", 50 * i, 0, 9, 9, 0.5) for i in range(60)))
    assert FalseBoxes().score([()], [many], NOTHING) == 20
    units = [f"{i:016x}" for i in range(200)]
    bound = FalseBoxes().bound([()] * 200, [answer()] * 200, NOTHING, units, 0.05)
    assert bound.exact and 0.0 < bound.value < 1.0


def test_bounds_of_images_are_too_good_no_more_often_than_alpha():
    """600 data sets of 60 images, whose boxes are found together or not at all: the worst case for a count of boxes."""
    rng = np.random.default_rng(5)
    units = [f"{i:016x}" for i in range(60)]
    many = tuple(Box("a", 30.0 * i, 0, 9, 9) for i in range(4))
    answers = {
        (found, false): answer(
            *(many[:4] if found else ()), *(Box("b", 30.0 * i, 50, 9, 9, 0.5) for i in range(false))
        )
        for found in (0, 1)
        for false in (0, 1, 20)
    }
    high = low = 0
    for _ in range(600):
        hits, noise = rng.random(60) < 0.7, rng.choice([0, 1, 20], 60, p=[0.7, 0.25, 0.05])
        said = [answers[int(hit), int(false)] for hit, false in zip(hits, noise, strict=True)]
        high += recall().bound([many] * 60, said, NOTHING, units, 0.1).value > 0.7
        low += FalseBoxes().bound([many] * 60, said, NOTHING, units, 0.1).value < 0.25 + 0.05 * 20
    # Three standard errors above 60.
    assert high <= 82 and low <= 82


def test_average_precision_by_hand():
    truths = [(Box("cat", 0, 0, 10, 10), Box("cat", 20, 0, 10, 10))]
    said = [
        answer(Box("cat", 0, 0, 10, 10, 0.9), Box("cat", 60, 0, 10, 10, 0.8), Box("cat", 20, 0, 10, 10, 0.7))
    ]
    # Precision 1 up to a recall of one half (51 of the 101 recalls), two thirds beyond.
    assert AveragePrecision("map50", (0.5,)).score(truths, said, NOTHING) == pytest.approx(
        (51 + 50 * 2 / 3) / 101
    )
    bound = AveragePrecision("map50", (0.5,)).bound(
        truths * 30, said * 30, NOTHING, [f"{i:016x}" for i in range(30)], 0.05
    )
    assert not bound.exact


def test_average_precision_is_that_of_hotcoco(capsys):
    """Random images, boxes and answers: the same mean average precision to twelve digits."""
    hotcoco = pytest.importorskip("hotcoco")
    rng = np.random.default_rng(0)
    truths, answers, images, listed, results = [], [], [], [], []
    for image in range(1, 31):
        true, said = [], []
        for _ in range(rng.integers(0, 6)):
            label = ("cat", "dog", "bird")[rng.integers(3)]
            box = Box(label, *map(float, rng.integers(0, 60, 2)), *map(float, rng.integers(8, 30, 2)))
            true.append(box)
            if rng.random() < 0.8:
                moved = [value + float(rng.normal(0, 2)) for value in box[1:5]]
                said.append(Box(label, *moved[:2], *map(abs, moved[2:]), round(float(rng.random()), 6)))
        for _ in range(rng.integers(0, 3)):
            place = map(float, (*rng.integers(0, 60, 2), *rng.integers(8, 30, 2)))
            said.append(Box("cat", *place, round(float(rng.random()), 6)))
        truths.append(tuple(true))
        answers.append(answer(*said))
        images.append({"id": image, "width": 100, "height": 100, "file_name": f"{image}.png"})
        number = {"cat": 1, "dog": 2, "bird": 3}
        for box in true:
            entry = {"id": len(listed) + 1, "image_id": image, "category_id": number[box.label], "iscrowd": 0}
            listed.append({**entry, "bbox": list(box[1:5]), "area": box.width * box.height})
        for box in said:
            entry = {"image_id": image, "category_id": number[box.label], "score": box.score}
            results.append({**entry, "bbox": list(box[1:5])})
    categories = [{"id": i, "name": name} for name, i in number.items()]
    data = hotcoco.COCO({"images": images, "annotations": listed, "categories": categories})
    evaluation = hotcoco.COCOeval(data, data.load_res(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    capsys.readouterr()
    expected = evaluation.stats[:2]
    ours = [
        m.score(truths, answers, NOTHING)
        for m in (AveragePrecision("map"), AveragePrecision("map50", (0.5,)))
    ]
    assert ours == pytest.approx(list(expected), abs=1e-12)


def test_labels_that_mean_things_of_coco():
    assert [coco_name(word) for word in ("Cars", "tv_monitor", "aeroplane", "行人", "buses", "Tree")] == [
        "car", "", "airplane", "person", "", "",
    ]  # fmt: skip
    channels, unknown = coco_channels(("bus", "car", "automobile", "tree"))
    assert channels[2] == "car" and channels[5] == "bus" and sum(map(bool, channels)) == 2
    assert unknown == ("automobile", "tree")


@pytest.mark.parametrize("shape", [(100, 50), (333, 1000), (512, 512), (7, 1)])
def test_a_place_in_the_square_is_found_again_in_the_image(shape):
    place = placed(512, shape)
    corners = np.array([[0.0, 0.0, *map(float, shape)], [1.5, 0.25, 6.0, 0.75]])
    assert place.to_image(place.to_square(corners)) == pytest.approx(corners)
    assert place.to_square(corners).min() >= 0 and place.to_square(corners).max() <= 512


def test_peaks_are_where_no_neighbour_of_the_label_is_higher():
    heat = np.zeros((4, 5, 2), np.float32)
    heat[1, 1, 0], heat[1, 2, 0], heat[1, 2, 1], heat[3, 4, 0] = 0.9, 0.8, 0.7, 0.1
    rows, columns, labels, scores = _peaks(heat, 0.2)
    assert list(zip(rows, columns, labels, strict=True)) == [(1, 1, 0), (1, 2, 1)]
    assert scores == pytest.approx([0.9, 0.7])
