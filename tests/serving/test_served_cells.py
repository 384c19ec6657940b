"""Many cells at once are read as one by one: numbers, words, gaps, and what is refused."""

import numpy as np
import pytest

from rung.core.errors import InputError
from rung.core.kind import kind
from rung.core.types import Field


def cell_parser(field):
    return kind(field.kind).reader(field)


def parse_column(field, read, cells, where):
    return kind(field.kind).read_column(field, read, cells, where)


CELLS = [
    ("number", ["1", " 2.5 ", "3e2", "-0"]),
    ("number", [1, 2.5, 3]),
    ("number", ["1", None, "¥1,200", "3.5%", "NA", "inf"]),
    ("number", ["10000", "nan", ""]),
    ("number", ["1", "", "-inf", "2"]),
    ("number", ["1", "?", "old", "old", "2.5%"]),
    ("number", [1.0, float("nan"), float("inf")]),
    ("number", [True, 2]),
    ("number", []),
    ("category", ["red", " red ", "3.0", "3", "NA", "", "ＲＥＤ"]),
    ("category", ["red", None, 3.0, 3]),
    ("category", ["1", 1, True, 1.0, None, "1"]),
    ("category", []),
    ("time", ["2024-01-31", "", None]),
]


@pytest.mark.parametrize("kind,cells", CELLS)
def test_a_column_is_read_like_its_cells(kind, cells):
    field = Field("x", kind, "input", ("old",) if "old" in cells else ())
    read = cell_parser(field)
    found = parse_column(field, read, cells, "t")
    each = [read(cell, "t") for cell in cells]
    if kind == "number":  # An array, NaN where nothing stands.
        assert isinstance(found, np.ndarray)
        each = [np.nan if cell is None else cell for cell in each]
    np.testing.assert_array_equal(found, each)


def test_arrays_of_data_frames_are_read_like_lists():
    field = Field("x", "number", "input")
    found = parse_column(field, cell_parser(field), np.array([1.5, np.nan, np.inf]), "t")
    np.testing.assert_array_equal(found, [1.5, np.nan, np.nan])
    assert list(parse_column(field, cell_parser(field), np.array([1, 2]), "t")) == [1.0, 2.0]
    words = np.array(["a", None, " a "], dtype=object)
    field = Field("x", "category", "input")
    assert parse_column(field, cell_parser(field), words, "t") == ["a", None, "a"]


def test_a_category_is_no_list():
    field = Field("x", "category", "input")
    with pytest.raises(InputError, match="must be a category, not list"):
        parse_column(field, cell_parser(field), ["red", ["blue"]], "t")


@pytest.mark.parametrize(
    "cells", [["1", "1_000"], ["1", "old"], ["1", "1e999"], ["1", "-nan"], [1, [2]], ["1", {}]]
)
def test_what_one_cell_refuses_a_column_refuses(cells):
    field = Field("x", "number", "input")
    with pytest.raises(InputError):
        parse_column(field, cell_parser(field), cells, "t")
