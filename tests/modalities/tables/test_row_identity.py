"""Two rows are the same unit when their cells mean the same, by whichever way they are read."""

import pytest

from rung.modalities.tables.task import _canonical, _canonical_cell

CELLS = ["1", " 1 ", "1.0", "1e3", "1_000", "nan", "inf", "-inf", "", "NA", "?", "１２", "¥1,200", "3.5%", "2024-01-31",
         "Red", " red  wine ", "0x10", "infinity", "-0", "1" * 400, "٣"]  # fmt: skip


@pytest.mark.parametrize("cell", [*CELLS, None, 1, 1.0, True, float("nan")])
def test_the_short_way_leads_to_the_same(cell):
    assert _canonical(cell) == _canonical_cell(cell)
