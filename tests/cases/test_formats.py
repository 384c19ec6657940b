"""How numbers and dates are written is decided for the whole column, and holds for every later cell."""

from collections import Counter

import pytest

import rung
from case_products import built, prepared
from rung.core.types import Field
from rung.modalities.tables.cells import number_of, time_of
from rung.modalities.tables.dates import parse_date
from rung.modalities.tables.numbers import decide_format, parse_number
from rung.modalities.tables.type_inference import infer_field


def read(cells):
    """Return what the cells of a column are read as, in the format that they show together."""
    field = infer_field("x", Counter(cells))
    assert field.kind == "number", field
    return [number_of(field, cell) for cell in cells]


def test_a_decimal_comma_of_three_places(tmp_path):
    """Other cells of the column settle that the comma is a decimal mark: 1,875 is no thousand."""
    data = prepared(tmp_path, "comma.csv", task="tabular_regression", target="gewicht_kg")
    assert data.facts["formats"]["gewicht_kg"] == {"decimal": ","}
    targets = [*data.train.targets, *data.certification.targets]
    assert max(targets) <= 12.5 and {1.875, 6.125, 10.0} <= set(targets)
    assert data.dataset.schema.outputs[0].format.decimal == ","


@pytest.mark.parametrize(
    "cells,values",
    [
        (["1,5", "12,125", "0,25"], [1.5, 12.125, 0.25]), (["0,750", "1,200"], [0.75, 1.2]),
        (["2.500", "2.500,50"], [2500.0, 2500.5]), (["1,200", "950"], [1200.0, 950.0]),
        (["2.125", "3.5"], [2.125, 3.5]), (["6 925,07", "6\u202f925,07"], [6925.07, 6925.07]),
        (["12.50-", "3.10"], [-12.5, 3.1]), (["$(5)", "$7"], [-5.0, 7.0]), (["(5)$", "7 $"], [-5.0, 7.0]),
        (["R$ 3.638,11", "R$ 811,87"], [3638.11, 811.87]), (["CHF 5", "CHF 1’200.50"], [5.0, 1200.5]),
        (["₹1,23,456.78", "₹ 12,34,567"], [123456.78, 1234567.0]), (["USD 3", "$4"], [3.0, 4.0]),
        (["7.9 m", "10.0 m", "8"], [7.9, 10.0, 8.0]), (["$5m", "$3k"], [5e6, 3e3]),
        (["987", "1.2k", "3.4m"], [987.0, 1200.0, 3.4e6]), (["350000", "1.2M", "900000"], [350000.0, 1.2e6, 900000.0]),
        (["5 kg", "500 g", "2 kg"], [5.0, 0.5, 2.0]), (["1.5 km", "800 m", "2 km"], [1.5, 0.8, 2.0]),
        (["3.5%", "4%"], [0.035, 0.04]), (["3.5%", "4.1", "5.2%"], [3.5, 4.1, 5.2]),
        (["08:30", "12:15"], [30600.0, 44100.0]), (["8:30 PM", "1:05 AM"], [73800.0, 3900.0]),
        (["3 million", "2.5 mn"], [3e6, 2.5e6]), (["1.2万", "3万"], [12000.0, 30000.0]),
    ],
)  # fmt: skip
def test_numbers_as_a_column_writes_them(cells, values):
    assert read(cells) == pytest.approx(values)


def test_a_bare_letter_after_a_number_is_no_multiplier_by_itself():
    assert (
        parse_number("7.9 m") is None and parse_number("100K") is None and parse_number("$100K") == 100_000.0
    )


def test_mixed_units_that_do_not_convert_are_refused():
    field = infer_field("x", Counter({f"{i} kg": 1 for i in range(30)} | {"5 m": 1, "$5": 1}))
    assert field.form == "kg" and number_of(field, "3 kg") == 3.0
    with pytest.raises(ValueError, match="5 m"):
        number_of(field, "5 m")
    amounts = infer_field("x", Counter({f"${i}": 1 for i in range(30)} | {"€5": 2}))
    assert amounts.format.currency == "usd"
    with pytest.raises(ValueError, match="€5"):
        number_of(amounts, "€5")


def test_a_float_of_a_typed_source_keeps_its_value_beside_decimal_commas(tmp_path):
    """2.125 of JSON and "1,5" of CSV stand in one column: the float is no thousand."""
    (tmp_path / "a.csv").write_text("x;y\n" + "".join(f"{i},5;{i % 2}\n" for i in range(60)))
    (tmp_path / "b.jsonl").write_text("".join(f'{{"x": {i}.125, "y": {i % 2}}}\n' for i in range(100, 130)))
    data = prepared(tmp_path, "a.csv", "b.jsonl", target="y")
    assert data.facts["formats"]["x"] == {"decimal": ","}
    found = {*data.train.inputs["x"].tolist(), *data.certification.inputs["x"].tolist()}
    assert {100.125, 129.125, 0.5, 59.5} <= found and max(found) < 130


def test_metres_are_not_millions(tmp_path):
    done = built(tmp_path, "metres.csv", task="tabular_regression", target="height")
    assert done.report["data"]["formats"]["height"] == {"unit": "m"}
    model = rung.load(done.bundle)
    assert model.schema.outputs[0].form == "m"
    assert model.predict([{"x": 0}])[0].value == pytest.approx(10.0, abs=0.5)


@pytest.mark.parametrize("file", ["ampm.csv", "utc.csv"])
def test_times_with_am_pm_and_utc_are_times(tmp_path, file):
    field = prepared(tmp_path, file, target="shift").dataset.schema.inputs[0]
    assert (field.name, field.kind) == ("created", "time")
    assert (
        time_of(field, "2/21/2023 12:35:00 PM" if file == "ampm.csv" else "2023-02-21 12:35:00 UTC")
        == "2023-02-21T12:35:00"
    )
    assert time_of(field, "0000-00-00 00:00:00") is None


def test_a_word_among_dates_is_known_and_its_date_missing(tmp_path):
    data = prepared(tmp_path, "tbd.csv", target="cls")
    field = data.dataset.schema.inputs[0]
    assert (field.kind, field.values) == ("time", ("TBD",)) and time_of(field, "TBD") is None
    assert data.facts["quarantined"] == {} and data.facts["formats"]["opened"]["words"] == ["TBD"]
    assert None in data.train.inputs["opened"]
    with pytest.raises(ValueError, match="soon"):
        time_of(field, "soon")


@pytest.mark.parametrize(
    "text,iso",
    [
        ("2/21/2023 12:35:00 PM", "2023-02-21T12:35:00"), ("2/21/2023 12:05 AM", "2023-02-21T00:05:00"),
        ("2023-02-21T12:35:00.123+02:00", "2023-02-21T10:35:00"), ("2023-02-21 12:35:00 GMT", "2023-02-21T12:35:00"),
        ("Jan 31, 2024 3:04 pm", "2024-01-31T15:04:00"), ("2024年1月3日 下午3:05", "2024-01-03T15:05:00"),
        ("2023-02-21 24:00:00", "2023-02-22"), ("Fri, 31 Jan 2024", "2024-01-31"), ("2/30/2023", None),
        ("13:00 PM", None), ("2023-02-21 25:00", None),
    ],
)  # fmt: skip
def test_times_as_people_write_them(text, iso):
    assert parse_date(text, "mdy") == iso


@pytest.mark.parametrize(
    "file,target,value", [("brl.csv", "cls", {"decimal": ",", "currency": "brl"}), ("dethou.csv", "klasse", {"decimal": ","})]
)  # fmt: skip
def test_amounts_are_numbers(tmp_path, file, target, value):
    data = prepared(tmp_path, file, target=target)
    field = data.dataset.schema.inputs[0]
    assert field.kind == "number" and data.facts["formats"][field.name] == value
    assert (
        number_of(field, "R$ 3.638,11") == 3638.11
        if file == "brl.csv"
        else number_of(field, "2.500") == 2500.0
    )
    # What the class depends on is a number now: one cut tells the classes apart.
    amounts, labels = data.train.inputs[field.name], data.train.targets
    high = [a for a, label in zip(amounts, labels, strict=True) if label in {"alto", "hoch"}]
    low = [a for a, label in zip(amounts, labels, strict=True) if label not in {"alto", "hoch"}]
    assert max(low) < min(high)


def test_a_format_stands_in_the_manifest_and_is_what_serving_uses():
    unit, form = decide_format({"1,5 kg": 3, "500 g": 2, "2,25 kg": 4})
    field = Field("x", "number", "input", (), unit, form)
    again = Field.from_dict(field.as_dict())
    assert again == field and number_of(again, "1,250 kg") == 1.25 and number_of(again, "250 g") == 0.25
    # A manifest of version 0.1 says no format: each cell is read by itself, as it was.
    old = Field.from_dict({"name": "x", "kind": "number", "role": "input", "values": [], "form": "kg"})
    assert (
        old.format is None and number_of(old, "1,250 kg") == 1250.0 and number_of(old, "7.9 m") == 7_900_000.0
    )


def test_the_time_column_is_read_in_one_order(tmp_path):
    rows = "".join(
        f"text {i} {'a' * (i % 7)},{'xy'[i % 2]},{1 + i % 12}/{1 + i % 28}/2024 {1 + i % 12}:30 PM\n"
        for i in range(80)
    )
    (tmp_path / "t.csv").write_text("text,label,at\n" + rows)
    data = prepared(tmp_path, "t.csv", task="text_classification", time="at")
    assert data.facts["formats"]["at"] == {"order": "mdy"} and "bad_time" not in data.facts["quarantined"]


def test_codes_that_no_float_tells_apart_are_categories_and_no_duplicates(tmp_path):
    codes = [str(1234567890123456700 + i) for i in range(76)]
    (tmp_path / "t.csv").write_text("code,y\n" + "".join(f"{code},{i % 2}\n" for i, code in enumerate(codes)))
    data = prepared(tmp_path, "t.csv", target="y")
    assert data.dataset.schema.inputs[0].kind == "category"
    assert data.facts["used"] == 76 and data.facts["quarantined"] == {}
