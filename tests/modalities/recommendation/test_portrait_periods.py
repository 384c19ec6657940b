"""Interests over the time of a history: parts of as many events, shares of categories in each."""

import pytest

from rung.modalities.recommendation.catalogue import Catalogue, Item
from rung.modalities.recommendation.portrait_periods import periods

DAY = 86_400.0
SHELF = Catalogue((Item("sea", categories=("Sea",)), Item("both", categories=("Sea", "Land")), Item("none")))


def test_shares_follow_the_events_of_each_part():
    history = [["sea", DAY * n, 1.0] for n in range(4)] + [["both", DAY * n, 1.0] for n in range(10, 14)]
    first, second = periods(SHELF, history)
    assert first == {"from": "1970-01-01", "to": "1970-01-04", "events": 4, "shares": {"Sea": 1.0}}
    assert second["shares"] == {"Land": 0.5, "Sea": 0.5} and second["from"] == "1970-01-11"


def test_within_a_day_hours_tell_parts_apart():
    history = [["sea", 3_600.0 * n, 1.0] for n in range(8)]
    assert [part["from"] for part in periods(SHELF, history)] == ["1970-01-01 00:00", "1970-01-01 04:00"]


@pytest.mark.parametrize(
    "history",
    [
        [],
        [["sea", 5.0, 1.0]] * 7,
        [["sea", None, 1.0]] * 20,
        [["sea", 5.0, 1.0]] * 20,
        [["gone", float(n), 1.0] for n in range(20)],
        ["sea"] * 20,
    ],
)
def test_without_enough_times_there_are_no_parts(history):
    assert periods(SHELF, history) == []


def test_times_out_of_any_calendar_are_numbers_and_empty_weights_are_nobody():
    history = [["sea", 1e30 * (n + 1), 1.0] for n in range(8)]
    assert periods(SHELF, history)[0]["from"] == "1e+30"
    silent = [["sea", DAY * n, -1.0] for n in range(8)]
    assert all(part["shares"] == {} for part in periods(SHELF, silent))
