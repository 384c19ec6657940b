"""Equal values are one value, whatever their type, their library and the file format they come from."""

import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pytest

import rung
from case_products import built, prepared, product_of
from rung.core import registry
from rung.core.certificate_lock import CertificateLock
from rung.core.scalars import cell_text, is_missing, label_text, same_label, scalar_text, to_plain
from rung.core.types import CellFormat, Field
from rung.data.prepare.cast import with_inputs
from rung.data.prepare.identify import identify
from rung.modalities.tables.cells import category_of, number_of, time_of

pandas = pytest.importorskip("pandas")
NULLS = [None, float("nan"), np.float64("nan"), np.datetime64("NaT"), pandas.NA, pandas.NaT, "", "nan", "NA"]


@pytest.mark.parametrize(
    "text,values",
    [
        ("true", [True, "true", "True", "TRUE", " True ", np.True_]),
        ("false", [False, "false", "FALSE", np.False_]),
        ("3", [3, 3.0, "3", "3.0", "3.00", np.int64(3), np.float32(3), Decimal("3.0"), "３"]),
        ("9007199254740993", [9007199254740993, "9007199254740993", Decimal("9007199254740993")]),
        ("12345678901234567", ["12345678901234567", 12345678901234567]),
        ("2.5", [2.5, "2.5", np.float64(2.5), Decimal("2.5")]), ("2.125", [2.125, "2.125", cell_text(2.125)]),
        ("2024-03-01", [dt.date(2024, 3, 1), dt.datetime(2024, 3, 1), "2024-03-01", np.datetime64("2024-03-01"),
                        np.datetime64("2024-03-01T00:00", "ns"), pandas.Timestamp("2024-03-01"), "2024-03-01T00:00:00"]),
        ("2024-03-01T10:30:00", [dt.datetime(2024, 3, 1, 10, 30), pandas.Timestamp("2024-03-01 10:30"),
                                 np.datetime64("2024-03-01T10:30")]),
        ("a b", ["a b", " a  b\n", np.str_("a b"), b"a b"]),
    ],
)  # fmt: skip
def test_one_text_for_equal_values(text, values):
    assert {scalar_text(value) for value in values} == {text}


@pytest.mark.parametrize("value", NULLS)
def test_every_null_is_missing_in_every_kind_of_column(value):
    for kind, parse in (("number", number_of), ("time", time_of), ("category", category_of)):
        field = Field("x", kind, "input", format=CellFormat())
        assert is_missing(value, kind) and parse(field, value) is None
    for task in ("text_classification", "tabular_regression"):
        assert registry.task(task).parse_target(value) is None


def test_booleans_answer_alike_however_they_are_written(tmp_path):
    # Above what the most frequent label reaches, so that a model which reads the column ships.
    bar, accept = {"metric": "accuracy", "at_least": 0.7}, ["leak_column:active"]
    done = built(tmp_path, "booleans.csv", target="y", bar=bar, accept=accept)
    assert done.report["winner"] == "linear_table"
    model = rung.load(done.bundle)
    assert model.schema.inputs[0].format.boolean

    def score(active):
        return tuple(model.predict([{"active": active, "age": 40}])[0].extra["probabilities"])

    for word, others in {
        "true": [True, "True", "TRUE", np.True_, 1, "1", 1.0],
        "false": [False, "False", "FALSE", np.False_, 0, "0"],
    }.items():
        assert all(score(other) == score(word) for other in others)
    assert model.predict([{"active": False, "age": 40}])[0].value == "leave"
    columns = {"active": np.array([True, False]), "age": np.array([40, 40])}
    words = {"active": ["true", "false"], "age": [40, 40]}
    assert np.array_equal(model.predict_columns(columns), model.predict_columns(words))


def test_booleans_and_their_numbers_in_one_column_are_one(tmp_path):
    (tmp_path / "a.csv").write_text("on,y\n" + "".join(f"{i % 2},{i % 2}\n" for i in range(40)))
    rows = (f'{{"on": {"true" if i % 3 else "false"}, "y": {i % 2}}}\n' for i in range(40))
    (tmp_path / "b.jsonl").write_text("".join(rows))
    data = prepared(tmp_path, "a.csv", "b.jsonl", target="y")
    assert data.dataset.schema.inputs[0].values == ("false", "true") and set(data.train.inputs["on"]) == {
        "false",
        "true",
    }


@pytest.mark.parametrize("file", ["floats.parquet", "integers.parquet"])
def test_targets_of_whole_floats_are_whole(tmp_path, file):
    costs = {"false_negative": 10, "false_positive": 1}
    done = built(
        tmp_path, file, target="bad", costs=costs, bar={"metric": "expected_cost", "at_most": 5}, name="c"
    )  # fmt: skip
    model = rung.load(done.bundle)
    assert model.schema.labels == ("0", "1")
    assert {answer.value for answer in model.predict([{"x": x} for x in (-2, -1, 0, 1, 2)])} == {"1"}


def test_labels_of_any_type_are_those_of_the_bundle():
    """A bundle of version 0.1 may have the labels True and 1.0: their spelling stays, and JSON true finds them."""
    assert [same_label(v, ("false", "true")) for v in (True, "TRUE", np.True_, 1, "0")] == ["true"] * 4 + [
        "false"
    ]
    assert [same_label(v, ("False", "True")) for v in (True, "true", False)] == ["True", "True", "False"]
    assert [same_label(v, ("0.0", "1.0")) for v in (1, "1", 0.0)] == ["1.0", "1.0", "0.0"]
    assert label_text(1.0) == "1" and same_label("spam", ("ham",)) == "spam"
    field = Field("label", "category", "output", ("NA", "EMEA"))
    task = registry.task("text_classification")
    assert task.read_target("NA", field) == "NA" and task.read_target("N/A", field) is None


def test_a_group_is_one_in_parquet_and_csv(tmp_path):
    data = prepared(
        tmp_path,
        "group_a.parquet",
        "group_b.csv",
        task="text_classification",
        input="text",
        group="customer_id",
    )
    assert len(data.train) + len(data.certification) > 300
    assert not set(data.train.units) & set(data.certification.units)
    # 17.0 of Parquet and 17 of CSV: as many units as customers, the row without one by itself.
    assert len({*data.train.units, *data.certification.units}) <= 62


@pytest.mark.parametrize("word", ["nan", "", "NULL", "<NA>"])
def test_rows_without_a_group_are_groups_of_their_own(tmp_path, word):
    from case_products import HERE

    text = (HERE / "no_group.csv").read_text(encoding="utf-8").replace(",nan\n", f",{word}\n")
    (tmp_path / "d.csv").write_text(text, encoding="utf-8")
    data = prepared(tmp_path, "d.csv", task="text_classification", input="text", group="customer_id")
    assert 80 <= data.facts["certification"] <= 125 and data.facts["groups"]["certify"] > 60
    assert data.facts["without_group"] > 200


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    return rung.load(built(tmp_path_factory.mktemp("mixed"), "mixed.parquet", target="y").bundle)


ROW = {"since": "2022-05-05 10:00:00", "amount": 20.5, "visits": 3, "seg": "a", "flag": True, "note": "please refund"}  # fmt: skip


def probabilities(model, **changed):
    return tuple(model.predict([ROW | changed])[0].extra["probabilities"])


@pytest.mark.parametrize("column", list(ROW))
def test_every_null_answers_as_none(mixed, column):
    for null in (float("nan"), pandas.NA, pandas.NaT, np.datetime64("NaT")):
        assert probabilities(mixed, **{column: null}) == probabilities(mixed, **{column: None})


def test_dates_of_every_library_are_the_date_they_are(mixed):
    for date in (dt.datetime(2022, 5, 5, 10), pandas.Timestamp("2022-05-05 10:00"), np.datetime64("2022-05-05T10:00"),
                 np.datetime64("2022-05-05T10:00", "ns"), pandas.Timestamp("2022-05-05 12:00", tz="Europe/Rome")):  # fmt: skip
        assert probabilities(mixed, since=date) == probabilities(mixed)
    assert probabilities(mixed, since=dt.date(2022, 5, 5)) == probabilities(mixed, since="2022-05-05")
    for row in (
        {"visits": np.int64(3)},
        {"amount": Decimal("20.5")},
        {"amount": np.float32(20.5)},
        {"flag": "TRUE"},
    ):
        assert probabilities(mixed, **row) == probabilities(mixed)


def test_columns_of_a_frame_answer_as_its_rows(mixed):
    from case_products import HERE

    frame = pandas.read_parquet(HERE / "mixed.parquet").drop(columns="y").head(60)
    rows = [answer.extra["probabilities"] for answer in mixed.predict(frame.to_dict("records"))]
    for other in (frame, frame.convert_dtypes(), frame.astype({"since": str, "amount": float})):
        found = mixed.predict_columns({name: other[name].to_numpy() for name in mixed.schema.input_names})
        np.testing.assert_allclose(found, rows, atol=1e-9)


def test_a_text_that_is_nan_is_no_text(tmp_path):
    model = rung.load(
        built(tmp_path, "spam.csv", task="text_classification", target="spam", model="tfidf_linear").bundle
    )
    for null in (None, float("nan"), pandas.NA):
        with pytest.raises(rung.RungError, match="no text"):
            model.predict([null])


def test_a_served_row_is_the_row_it_was_trained_as(tmp_path):
    """Rows of a request are known again in the data, whatever types they come in."""
    product = product_of(tmp_path, "booleans.csv", task="tabular_classification", target="y")
    task = registry.task(product.task)
    product = with_inputs(product, tmp_path, task)
    rows = [
        {"active": True, "age": 72},
        {"active": "TRUE", "age": "72.0"},
        {"active": np.True_, "age": np.int64(72)},
    ]
    lock = CertificateLock(tmp_path / "certificate.lock")
    found = identify(((str(i), row) for i, row in enumerate(rows)), product, task, lock)
    assert len({known.text for known in found.values()}) == 1


def test_a_split_of_version_0_1_is_kept(tmp_path):
    """Its lock names no canonical form: rows and groups keep the sides that its hashes gave them."""
    first = prepared(
        tmp_path,
        "group_a.parquet",
        "group_b.csv",
        task="text_classification",
        input="text",
        group="customer_id",
    )
    before = {*first.train.units, *first.certification.units}
    path = tmp_path / "certificate.lock"
    lock = json.loads(path.read_text(encoding="utf-8"))
    for rule in lock["splits"].values():
        assert rule.pop("scalars") == 2
    del lock["trained"]
    path.write_text(json.dumps(lock), encoding="utf-8")
    again = prepared(
        tmp_path,
        "group_a.parquet",
        "group_b.csv",
        task="text_classification",
        input="text",
        group="customer_id",
    )
    units = {*again.train.units, *again.certification.units}
    assert len(units) > len(before)


def test_what_json_cannot_hold_is_said():
    with pytest.raises(ValueError, match="kind 'object'"):
        to_plain(object())
