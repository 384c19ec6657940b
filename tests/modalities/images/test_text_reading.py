"""Finding lines on a map, reading order, distances, fields: the parts of reading a document, and the reader on real pictures."""

import json
import random
import shutil

import numpy as np
import pytest

from rung.core.blobs import Blob
from rung.core.errors import BundleError, RungError
from rung.core.types import Prediction, Schema
from rung.modalities.images.png import write_png
from rung.modalities.images.read_fields import FieldFinder, fields_of, fields_text, without_prefix
from rung.modalities.images.reading_metrics import (
    CharacterErrorRate,
    edit_distance,
    error_rate,
    exact_documents,
    exact_fields,
    normalised,
    reading_accuracy,
)
from rung.modalities.images.text_lines import TextLine, as_text, in_reading_order, lines_of
from rung.modalities.images.text_reader import ReaderConfig, TextReader, finder_size
from rung.modalities.images.text_regions import find_regions
from rung.runtime.embeddings.settings import use_embedding_cache
from rung.tasks.document_reading import draw_digits
from rung.training.images.reader_weights import open_packaged_reader


def slow_distance(one, other):
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def test_the_distance_is_that_of_the_table():
    rng = random.Random(0)
    for _ in range(300):
        one, other = ("".join(rng.choices("ab文", k=rng.randrange(90))) for _ in range(2))
        assert edit_distance(one, other) == slow_distance(one, other)


def test_what_is_the_same_text():
    assert normalised("ＡＢＣ　１２\n 3") == "ABC 12 3"
    assert normalised("总 计 12 元") == "总计12元"
    assert error_rate("Total 12", "Total 12") == 0.0 and error_rate("Total", "total") == pytest.approx(0.2)
    assert error_rate("a", "b" * 50) == 1.0 and error_rate("", "") == 0.0 and error_rate("", "x") == 1.0
    assert error_rate('{"a": "12", "b": "34"}', '{"a": "12"}') == pytest.approx(0.5)


def test_metrics_and_their_bounds():
    truths = ["abcd"] * 60
    answers = [Prediction("abcd")] * 59 + [Prediction("abcx")]
    units = [f"{i:012x}" for i in range(60)]
    schema = Schema((), ())
    for metric, value in (
        (reading_accuracy(), 1 - 0.25 / 60),
        (CharacterErrorRate(), 0.25 / 60),
        (exact_documents(), 59 / 60),
    ):
        bound = metric.bound(truths, answers, schema, units, 0.05)
        assert metric.score(truths, answers, schema) == pytest.approx(value)
        assert bound.exact and (bound.value < value if metric.higher_is_better else bound.value > value)
    fields = ['{"a": "1", "b": "2"}']
    assert exact_fields().score(fields, [Prediction('{"a": "1", "c": "9"}')], schema) == pytest.approx(1 / 3)


def test_bounds_hold_where_documents_are_drawn_again_and_again():
    """Of 200 sets of 40 documents with a known mean error rate, at most alpha (plus noise) have a bound on the wrong side."""
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(200):
        lengths = rng.binomial(20, 0.06, 40)
        truths = ["a" * 20] * 40
        answers = [Prediction("a" * (20 - k) + "b" * k) for k in lengths]
        units = [f"{i:012x}" for i in rng.permutation(40)]
        wrong += CharacterErrorRate().bound(truths, answers, Schema((), ()), units, 0.1).value < 0.06
    assert wrong <= 0.1 * 200 + 3 * np.sqrt(200 * 0.1 * 0.9)


def test_regions_of_a_map():
    heat = np.zeros((60, 120), np.float32)
    heat[10:16, 10:60] = 0.9
    heat[40:46, 20:100] = 0.8
    heat[30, 5] = 1.0  # a speck
    heat[50:58, 2:6] = 0.35  # seen, but not sure enough
    wide, narrow = find_regions(heat, 10)
    assert wide.box == pytest.approx((15.53, 35.53, 88.93, 14.93), abs=0.1)
    assert 0.6 < wide.score < 0.8 and narrow.sides[0] > narrow.sides[1]
    assert len(find_regions(heat, 1)) == 1 and find_regions(np.zeros((32, 32), np.float32), 5) == []


def test_a_turned_line_has_a_turned_rectangle():
    down, across = np.mgrid[0:100, 0:160]
    cos, sin = np.cos(np.deg2rad(20)), np.sin(np.deg2rad(20))
    along, off = (across - 80) * cos + (down - 50) * sin, (down - 50) * cos - (across - 80) * sin
    heat = ((np.abs(along) < 50) & (np.abs(off) < 6)).astype(np.float32)
    (region,) = find_regions(heat, 5)
    (left, right) = region.corners[0], region.corners[1]
    assert np.rad2deg(np.arctan2(right[1] - left[1], right[0] - left[0])) == pytest.approx(20, abs=2)


def test_parts_that_touch_at_a_corner_are_one():
    heat = np.zeros((40, 40), np.float32)
    heat[10:18, 4:24] = heat[18:22, 24:28] = 1.0
    assert len(find_regions(heat, 9)) == 1


def test_noise_of_any_density_is_cut_off():
    rng = np.random.default_rng(0)
    assert len(find_regions(rng.random((400, 400)).astype(np.float32), 7)) <= 7


def test_the_order_of_reading():
    pieces = [
        TextLine("right", 200, 12, 50, 20, 0.9),
        TextLine("left", 10, 10, 100, 20, 0.9),
        TextLine("below", 10, 40, 100, 20, 0.9),
    ]
    rows = in_reading_order(pieces)
    assert as_text(rows) == "left right\nbelow"


@pytest.mark.parametrize(
    "value",
    [
        "x",
        [3],
        [{"text": "a"}],
        [{"text": 3, "box": [1, 2, 3, 4]}],
        [{"text": "a", "box": [1, 2, float("nan"), 4]}],
        [{"text": "a", "box": [1, 2, 3, 4], "score": "high"}],
    ],
)
def test_lines_that_are_none(value):
    with pytest.raises(ValueError, match="bad_lines: "):
        lines_of(value)


def test_fields_and_what_are_none():
    assert fields_of({"b": 2, "a": " x ", "c": "", "d": None}) == (("a", "x"), ("b", "2"))
    assert fields_text(' {"b": "1", "a": "x"}') == '{"a": "x", "b": "1"}'
    for value in ("[1", '{"a": ["x"]}', '{"": "x"}', "3"):
        with pytest.raises(ValueError, match="bad_fields: "):
            fields_of(value)
    assert without_prefix("Tel: 123", ("tel:",)) == "123" and without_prefix("Tel:", ("Tel:",)) == "Tel:"


def test_a_finder_takes_the_likeliest_line_of_each_field():
    # Weights on the first measure alone: a field on the left, another on the right.
    weights = np.zeros((25, 3))
    weights[0] = (-20, 20, 0)
    finder = FieldFinder(
        ("left", "right"),
        (0.5,) + (0.0,) * 24,
        (1.0,) * 25,
        tuple(map(tuple, weights.tolist())),
        (0.0, 0.0, 0.0),
        {"right": ("No.",)},
    )
    lines = (TextLine("A", 0, 0, 10, 10, 0.8), TextLine("No. 7", 90, 0, 10, 10, 0.9))
    again = FieldFinder.from_dict(json.loads(json.dumps(finder.as_dict())))
    assert again.find(lines, (100, 100)) == {
        "left": ("A", pytest.approx(0.8, abs=0.01)),
        "right": ("7", pytest.approx(0.9, abs=0.01)),
    }
    assert again.find((), (100, 100)) == {}


def test_sides_of_what_the_finder_reads():
    config = ReaderConfig()
    assert finder_size((1020, 660), config) == (1152, 736)
    assert finder_size((4000, 100), config) == (1600, 32)
    assert finder_size((1, 30_000), config) == (32, 1600)


def test_digits_are_read_wherever_they_stand(ppocr_v4, ppocr_v6):
    image = Blob.of(draw_digits("20571"))
    for weights in (ppocr_v4, ppocr_v6):
        page = open_packaged_reader(weights, ReaderConfig(least_side=128, most_side=320))
        line = open_packaged_reader(weights, ReaderConfig(whole=True))
        for reader in (page, line):
            (rows,) = reader.read([image])
            assert as_text(rows) == "20571"
        ((piece,),) = page.read([image])[0]
        assert piece.score > 0.5 and 0 <= piece.x < 40 and piece.width > 150


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1), (48, 48)])
def test_strange_shapes_are_read_as_nothing(ppocr_v4, shape):
    blank = Blob.of(write_png(np.full(shape, 200, np.uint8)))
    for config in (ReaderConfig(least_side=64, most_side=640), ReaderConfig(whole=True)):
        (rows,) = open_packaged_reader(ppocr_v4, config).read([blank])
        assert all(piece.score < 0.6 for row in rows for piece in row)


def test_a_saved_reader_reads_the_same_and_a_broken_one_says_so(ppocr_v4, tmp_path):
    reader = open_packaged_reader(ppocr_v4, ReaderConfig(least_side=128, most_side=320))
    reader.save(tmp_path)
    image = Blob.of(draw_digits("31415"))
    assert TextReader.open(tmp_path).read([image]) == reader.read([image])
    shutil.copy(tmp_path / "finder.onnx", tmp_path / "recogniser.onnx")
    with pytest.raises(BundleError, match="lists no characters"):
        TextReader.open(tmp_path)
    (tmp_path / "reader.json").write_text("[")
    with pytest.raises(RungError, match="no usable reader.json"):
        TextReader.open(tmp_path)


def test_a_build_reads_an_image_once(ppocr_v4, tmp_path, monkeypatch):
    from rung.modalities.images import text_reader

    monkeypatch.setattr(text_reader, "_READ", {})
    monkeypatch.setattr(text_reader, "_MOST_READ", 2)
    reader = open_packaged_reader(ppocr_v4, ReaderConfig(whole=True))
    read, calls = TextReader._read, []
    monkeypatch.setattr(TextReader, "_read", lambda self, image: calls.append(image) or read(self, image))
    images = [Blob.of(draw_digits(text)) for text in ("123", "456", "789")]
    plain = reader.read([*images, images[0]])
    assert len(calls) == 4
    with use_embedding_cache(tmp_path, 1):
        assert reader.read([images[0], images[0], None]) == [plain[0], plain[0], []]
        assert len(calls) == 6
        stricter = TextReader.of(reader, ReaderConfig(whole=True, least_score=0.9))
        assert stricter.read([images[0]]) == plain[:1] and len(calls) == 6
        reader.read(images)
        assert len(text_reader._READ) == 2
