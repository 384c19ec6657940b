"""Cells as people write them become the same numbers, dates and kinds whenever they are read."""

from collections import Counter

import pytest

from rung.core.scalars import is_missing
from rung.core.scalars import scalar_text as category_text
from rung.modalities.tables.dates import parse_date
from rung.modalities.tables.numbers import parse_number
from rung.modalities.tables.type_inference import infer_field


@pytest.mark.parametrize(
    "text,value",
    [
        ("¥1,200", 1200.0), ("3.5%", 0.035), ("1.2万", 12_000.0), ("(1,200)", -1200.0), ("1.234,56", 1234.56),
        ("-$5", -5.0), ("4元", 4.0), ("1 200", 1200.0), ("３５", 35.0), ("$100K", 100_000.0), ("100K", None), ("1e5", 1e5),
        ("abc", None), ("1.2.3", None), ("2024-01-31", None), ("inf", None), ("12 kg", None), ("", None),
    ],
)  # fmt: skip
def test_numbers_with_currency_percent_and_units(text, value):
    assert parse_number(text) == (pytest.approx(value) if value is not None else None)


def test_a_unit_is_read_where_the_column_has_it():
    assert parse_number("12 kg", "kg") == 12.0 and parse_number("12 g", "kg") is None


@pytest.mark.parametrize(
    "text,form,iso",
    [
        ("2024-01-31", "", "2024-01-31"), ("2024/1/3", "", "2024-01-03"), ("2024年1月3日", "", "2024-01-03"),
        ("31/01/2024", "dmy", "2024-01-31"), ("01/31/2024", "mdy", "2024-01-31"), ("31/01/2024", "mdy", None),
        ("20240131", "", "2024-01-31"), ("Jan 31, 2024", "", "2024-01-31"), ("2024-01-31 10:30", "", "2024-01-31T10:30:00"),
        ("hello 3", "", None),
    ],
)  # fmt: skip
def test_dates_of_three_formats_and_more(text, form, iso):
    assert parse_date(text, form) == iso


def kind_of(cells, name="x"):
    return infer_field(name, Counter(cells))


def test_what_a_column_holds():
    assert kind_of(["¥1,200", "¥900", "", "NA"] * 5).kind == "number"
    assert kind_of([f"{i} kg" for i in range(20)]).form == "kg"
    assert kind_of(["20240131", "20240201", "20240302"]).kind == "time"
    assert (kind_of(["31/01/2024", "02/02/2024"]).kind, kind_of(["31/01/2024", "02/02/2024"]).form) == (
        "time",
        "dmy",
    )
    assert kind_of(["01/31/2024", "02/02/2024"]).form == "mdy"
    assert kind_of(["red", "green", "red"]).values == ("green", "red")
    assert kind_of([f"a note of several words, number {i}" for i in range(30)]).kind == "text"
    assert kind_of([f"客户说第{i}次付款会晚一些，请等待" for i in range(30)]).kind == "text"


def test_words_among_numbers_are_known_when_they_repeat():
    field = kind_of([str(i) for i in range(100)] + ["retired"] * 6 + ["oops"])
    assert field.kind == "number" and field.values == ("retired",)


def test_categories_are_alike_however_they_are_written():
    assert category_text("3.0") == category_text(3) == category_text(3.0) == category_text(" 3 ") == "3"
    assert (
        is_missing("NA") and is_missing(float("nan")) and is_missing(float("inf")) and not is_missing("none")
    )
    assert is_missing("none", "number")
