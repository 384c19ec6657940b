"""Short texts are texts: what people say to a call centre in Chinese; names, codes and places are not."""

import csv

import pytest

import rung
from rung.core.errors import DataError
from support import write_csv


@pytest.fixture(scope="module")
def said(example_data):
    """(text, intent) of 1,904 real phrases of 5.8 characters on average, and 1,417 English ones."""
    found = {}
    for name in ("requests.zh.csv", "requests.csv"):
        with (example_data("intent") / name).open(encoding="utf-8") as file:
            found[name] = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    return found


@pytest.mark.parametrize(
    "name,longest", [("requests.zh.csv", 8), ("requests.zh.csv", 200), ("requests.csv", 200)]
)
def test_phrases_are_found(said, name, longest, tmp_path):
    rows = [row for row in said[name] if len(row[0]) <= longest]
    mean = sum(len(text) for text, _ in rows) / len(rows)
    assert mean < 8 or name == "requests.csv"
    found = rung.plan(write_csv(tmp_path / "said.csv", ["said", "label"], rows))
    assert (found.guess.inputs, found.guess.target) == (("said",), "label")


def test_ids_that_are_longer_than_the_texts_are_not_taken_for_them(said, tmp_path):
    rows = [
        (f"{i:08x}-4b1d-11ef-9454-0242ac120002", text, label)
        for i, (text, label) in enumerate(said["requests.zh.csv"])
    ]
    found = rung.plan(write_csv(tmp_path / "said.csv", ["call", "said", "label"], rows))
    assert found.guess.inputs == ("said",)


SURNAMES, GIVEN = "王李张刘陈杨赵黄周吴徐孙", "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚"
NAMES = [a + b + c for a in SURNAMES for b in GIVEN for c in ("", "华", "文", "国")]
PLACES = [f"{a}{b}市" for a in "东西南北上下大小长平" for b in "山海江河湖州宁安阳城"]


@pytest.mark.parametrize(
    "column",
    [
        NAMES,
        PLACES,
        [f"A{i}" for i in range(600)],
        [f"{i % 28 + 1}.{i % 12 + 1}.{i % 90 + 10}" for i in range(600)],
        [f"{i:05d}" for i in range(600)],
    ],
    ids=["names", "places", "codes", "dates", "numbers"],
)
def test_what_is_short_and_no_phrase_is_refused(column, tmp_path):
    rows = [(value, "yn"[i % 2]) for i, value in enumerate(column)]
    with pytest.raises(DataError, match="no task fits this table"):
        rung.plan(write_csv(tmp_path / "people.csv", ["who", "answer"], rows))


def test_categories_beside_short_texts_are_not_read(said, tmp_path):
    rows = [
        (text, NAMES[i % len(NAMES)], PLACES[i % len(PLACES)], label)
        for i, (text, label) in enumerate(said["requests.zh.csv"])
    ]
    found = rung.plan(write_csv(tmp_path / "calls.csv", ["said", "agent", "city", "label"], rows))
    assert (found.guess.inputs, found.guess.target) == (("said",), "label")
