"""Checks of events, and tables of events that are odd as a whole: all users alike, ratings that are words, items that went away."""

import pytest
from test_event_table import SPEC, events, found_by, prepared, reasons

from rung.core.errors import DataError


@pytest.fixture
def check(tmp_path):
    """Return a function from (name of the check, rows) to its finding."""

    def found(name, rows, spec=SPEC):
        return found_by(name, prepared(tmp_path, rows, spec).dataset, spec, tmp_path)

    return found


def test_items_with_one_event_are_found_where_they_are_many(check):
    alone = [(f"u{u}", f"own{u}-{n}", 1_000_000 + u * 100 + 50 + n) for u in range(60) for n in range(2)]
    finding = check("items_once", [*events(), *alone])
    assert finding.level == "info" and finding.rows > 0.3 * finding.of and "own" in finding.values["examples"]


def test_items_of_many_events_are_not(check):
    assert check("items_once", events()) is None


def test_ids_that_differ_by_zeros_are_found(check):
    rows = [
        (user, item[1:].zfill(3) if n % 2 else item[1:], when)
        for n, (user, item, when) in enumerate(events())
    ]
    finding = check("ids_with_zeros", rows)
    assert finding.level == "warn" and finding.rows > 10 and " = " in finding.values["examples"]


def test_ids_written_alike_are_not(check):
    assert check("ids_with_zeros", [(user, item[1:], when) for user, item, when in events()]) is None


def test_items_that_went_away_are_found(check):
    early = [(f"u{u}", f"i{(u + n) % 30}", 1_000 + n) for u in range(80) for n in range(12)]
    late = [(f"u{u}", f"new{(u + n) % 30}", 90_000 + n) for u in range(80) for n in range(4)]
    finding = check("gone_items", early + late)
    assert finding.rows >= 10 and finding.of == 30 and finding.level == "info"


def test_items_that_stay_are_not(check):
    assert (
        check(
            "gone_items",
            [(f"u{u}", f"i{(u * 7 + n * 13) % 61}", 1_000 + n) for u in range(80) for n in range(20)],
        )
        is None
    )


def test_ratings_that_are_words_are_refused_one_by_one(tmp_path):
    spec = SPEC.replace("time: time}", "time: time, weight: rating}")
    rows = [(*row, "good" if n % 3 == 0 else "4") for n, row in enumerate(events())]
    found = prepared(tmp_path, rows, spec, ("user", "item", "time", "rating"))
    assert reasons(found)["bad_weight"] == 240


def test_a_table_of_nothing_but_words_for_ratings_is_an_error_that_says_so(tmp_path):
    spec = SPEC.replace("time: time}", "time: time, weight: rating}")
    rows = [(*row, "good") for row in events()]
    with pytest.raises(DataError) as caught:
        prepared(tmp_path, rows, spec, ("user", "item", "time", "rating"))
    assert "bad_weight" in str(caught.value)
