"""Sets of labels: one canonical text, however a source or a caller writes them."""

import pytest

from rung.core.errors import DataError
from rung.core.label_sets import find_separator, read_set, set_labels, set_text
from rung.core.task import ColumnRoles
from rung.core.types import Field, Row
from rung.tasks.text_multilabel import TextMultilabel

TASK = TextMultilabel()
KNOWN = ("film", "music", "3", "戏剧")


@pytest.mark.parametrize(
    "raw,separator",
    [
        ('["music", "film"]', ""), (["film", "music", "film"], ""), (("music", "film"), ";"), ("film; music", ";"),
        (" music ;film;", ";"), ("film|music", "|"), ("film、music", "、"),
    ],
)  # fmt: skip
def test_the_same_set_in_every_writing(raw, separator):
    assert read_set(raw, separator, KNOWN) == set_text(["film", "music"]) == '["film", "music"]'


def test_what_holds_no_labels():
    assert read_set("[]") == read_set([]) == "[]" and set_labels("[]") == ()
    assert read_set("") is None and read_set(" ; ", ";") is None and read_set(None) is None
    assert read_set([["film"]]) is None and read_set({"film": 1}) is None
    assert read_set(3.0, known=KNOWN) is None and read_set([3.0, "戏剧"], known=KNOWN) == set_text(
        ["3", "戏剧"]
    )


@pytest.mark.parametrize("mark", ["|", ";", ",", "、", " "])
def test_the_mark_between_labels_is_found(mark):
    names = ("film", "music", "stage", "art")
    cells = {
        mark.join(name for place, name in enumerate(names) if bits >> place & 1): 2 for bits in range(1, 16)
    }
    assert find_separator(cells) == mark


def test_marks_inside_labels_and_in_texts_separate_nothing():
    assert find_separator({"billing, refunds": 40, "delivery": 30, "lost, stolen": 9}) == ""
    places = {f"Town {i}, Land {i % 40}": 1 for i in range(80)}
    assert find_separator(places) == ""
    both = {
        "rock, pop; film": 1,
        "film; stage": 1,
        "rock, pop; stage": 1,
        "rock, pop": 1,
        "film": 1,
        "stage; rock, pop; film": 1,
    }
    assert find_separator(both) == ";"
    assert find_separator({'["a", "b"]': 5, '["b"]': 3}) == ""


def test_columns_of_0_and_1_become_one_target():
    columns = ColumnRoles(("text",), "label", labels=("film", "music"))
    assert TASK.source_columns(columns) == ("text", "film", "music")
    cells = [
        {"text": "a", "film": "1", "music": "0"}, {"text": "b", "film": False, "music": 0}, {"text": "c", "film": "", "music": None},
        {"text": "d", "film": "maybe", "music": "1"}, {"text": "e", "label": '["film"]', "film": None, "music": None},
    ]  # fmt: skip
    found = list(TASK.reshape((Row("x.csv", i, row) for i, row in enumerate(cells, 1)), columns))
    assert [row.values and row.values["label"] for row in found] == [["film"], [], None, None, '["film"]']
    assert found[3].problem == "bad_target: 'maybe' in 'film' is neither 1 nor 0"


def test_the_task_reads_and_refuses_targets():
    field = TASK.target_field(
        Field("labels", "labels", "output"),
        {"film; music": 3, "film": 2, "music; stage": 2, "stage; film": 1},
    )
    assert field.form == ";"
    assert TASK.read_target("music;film", field) == set_text(["film", "music"])
    assert TASK.read_target("n/a", field) is None and TASK.read_target("", field) is None
    one_each = {set_text([name]): 20 for name in ("film", "music")}
    with pytest.raises(DataError, match="exactly one of the 2 labels") as caught:
        TASK.check(one_each, "x.csv")
    assert "text_classification" in caught.value.fix and "data.separator" in caught.value.fix
    with pytest.raises(DataError, match="no training row has a label"):
        TASK.check({"[]": 30}, "x.csv")
    with pytest.raises(DataError, match="1,200 different labels"):
        TASK.check({set_text([f"l{i}", f"l{i + 1}"]): 2 for i in range(0, 1_200, 2)}, "x.csv")
    with pytest.raises(DataError, match="too few"):
        TASK.check({set_text(["film", "music"]): 4}, "x.csv")
