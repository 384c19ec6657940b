"""Many cells at once are read as one by one: numbers, words, gaps, and what is refused."""

import numpy as np
import pytest

from rung.core.errors import InputError
from rung.core.types import Field
from rung.serve.cells import read_column, reader

CELLS = [
    ("number", ["1", " 2.5 ", "3e2", "-0"]),
    ("number", [1, 2.5, 3]),
    ("number", ["1", None, "¥1,200", "3.5%", "NA", "inf"]),
    ("number", ["10000", "nan", ""]),
    ("number", [True, 2]),
    ("number", []),
    ("category", ["red", " red ", "3.0", "3", "NA", "", "ＲＥＤ"]),
    ("category", ["red", None, 3.0, 3]),
    ("time", ["2024-01-31", "", None]),
]


@pytest.mark.parametrize("kind,cells", CELLS)
def test_a_column_is_read_like_its_cells(kind, cells):
    field = Field("x", kind, "input")
    read = reader(field)
    found = read_column(field, read, cells, "t")
    assert list(found) == [read(cell, "t") for cell in cells]
    assert not isinstance(found, np.ndarray) or np.isfinite(found).all()


@pytest.mark.parametrize("cells", [["1", "1_000"], ["1", "old"], [1, [2]], ["1", {}]])
def test_what_one_cell_refuses_a_column_refuses(cells):
    field = Field("x", "number", "input")
    with pytest.raises(InputError):
        read_column(field, reader(field), cells, "t")
