"""Lists that another system has shown are read whole or refused with the line."""

import json

import pytest

from rung.core.errors import DataError
from rung.improvement.shown_lists import read_shown_lists

LINE = {
    "history": ["a", {"item": "b", "time": 5}],
    "items": [{"item": "c", "propensity": 0.5}, {"item": 7, "propensity": 1}],
    "clicked": ["c"],
}


def test_lists_become_rows_and_impressions(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(
        json.dumps(LINE) + "\n\n" + json.dumps({"items": [{"item": "x", "propensity": 0.1}]}) + "\n"
    )
    rows, shown = read_shown_lists(path)
    assert rows[0]["history"] == [["a", None, 1.0], ["b", 5.0, 1.0]] and rows[0]["k"] == 2
    assert shown[0].items == ("c", "7") and shown[0].clicked == {"c"} and shown[0].propensities == (0.5, 1.0)
    assert rows[1]["history"] == [] and rows[1]["k"] == 1 and shown[1].clicked == frozenset()


@pytest.mark.parametrize(
    "line,said",
    [
        ("nonsense", "cannot be read"),
        ("[]", "cannot be read"),
        (json.dumps({**LINE, "items": []}), "needs items"),
        (json.dumps({**LINE, "items": [{"item": "c", "propensity": 0}]}), "needs items"),
        (json.dumps({**LINE, "items": [{"item": "c"}]}), "propensity"),
        (json.dumps({**LINE, "items": [{"item": "c", "propensity": 0.5}] * 2}), "twice"),
        (json.dumps({**LINE, "clicked": ["z"]}), "not in the list"),
        (json.dumps({**LINE, "history": "a"}), "not JSON"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line, said, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(LINE) + "\n" + line + "\n")
    with pytest.raises(DataError, match=said) as caught:
        read_shown_lists(path)
    assert caught.value.where == "log.jsonl, line 2"
