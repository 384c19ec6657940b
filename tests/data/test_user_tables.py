"""What is known of users: read beside the events, brought by requests, and used for what is popular where that is better."""

import pytest
from test_event_table import SPEC, prepared

from rung.core.errors import DataError, SpecError
from rung.core.model import FitContext
from rung.core.spec.product import parse_product
from rung.modalities.recommendation.catalogue import Item
from rung.modalities.recommendation.wishes import read_wishes
from rung.models.popularity import Popularity
from support import write_csv

WITH_USERS = SPEC.replace(
    "time: time}", "time: time, users: {path: users.csv, user: id, columns: [coast, shoe]}}"
)


def people(folder, coasts=("sea", "land")):
    """Write users of two coasts with tastes of their own, and a column that says nothing; return their events."""
    events, known = [], []
    for u in range(240):
        coast = coasts[u % 2]
        known.append((f"u{u}", coast, str(u % 7)))
        events += [(f"u{u}", f"{coast}{(u // 2 + n) % 12}", 1_000 + n) for n in range(6)]
        events.append((f"u{u}", "all", 1_010))
    write_csv(folder / "users.csv", ["id", "coast", "shoe"], [*known, ("", "sea", ""), ("u0", "twice", "")])
    return events


def fitted(found):
    return Popularity.fit(found.train, None, FitContext())


def newcomer(model, **about):
    return model.predict({"history": [[]], "context": [{"user": about} if about else None], "k": [8]})[0]


def test_what_is_known_stands_in_the_context_of_moments(tmp_path):
    found = prepared(tmp_path, people(tmp_path), WITH_USERS)
    contexts = found.train.inputs["context"]
    assert {context["user"]["coast"] for context in contexts} == {"sea", "land"}
    assert all(set(context["user"]) == {"coast", "shoe"} for context in contexts)


def test_newcomers_get_what_is_popular_among_users_like_them(tmp_path):
    model = fitted(prepared(tmp_path, people(tmp_path), WITH_USERS))
    assert model.chosen["segment"] == "coast"
    sea, land, unknown = newcomer(model, coast="sea"), newcomer(model, coast="land"), newcomer(model)
    assert sum(item.startswith("sea") for item in sea.value) >= 7
    assert sum(item.startswith("land") for item in land.value) >= 7
    assert sea.extra["popular"] == sea.value
    assert newcomer(model, coast="moon").value == newcomer(model, shoe="3").value == unknown.value


def test_segments_ship(tmp_path):
    found = prepared(tmp_path, people(tmp_path), WITH_USERS)
    model = fitted(found)
    folder = tmp_path / "model"
    folder.mkdir()
    model.save(folder)
    again = Popularity.load(folder, found.train.schema)
    for coast in ("sea", "land", "moon"):
        assert newcomer(again, coast=coast).value == newcomer(model, coast=coast).value


def test_segments_hold_items_that_nobody_had(tmp_path):
    shelf = fitted(prepared(tmp_path, people(tmp_path), WITH_USERS)).shelf
    wider = shelf.with_items([Item("new")])
    own = wider.popular_for({"coast": "sea"})
    assert own is not None and len(own) == len(wider.catalogue) == len(shelf.catalogue) + 1 and own[-1] == 0.0


def test_columns_that_say_nothing_are_not_used(tmp_path):
    spec = WITH_USERS.replace("columns: [coast, shoe]", "columns: [shoe]")
    model = fitted(prepared(tmp_path, people(tmp_path, ("sea", "sea")), spec))
    assert "segment" not in model.chosen


def test_a_missing_column_of_users_is_said(tmp_path):
    rows = people(tmp_path)
    with pytest.raises(DataError, match="shoes"):
        prepared(tmp_path, rows, WITH_USERS.replace("shoe]", "shoes]"))


def test_users_need_columns():
    with pytest.raises(SpecError):
        parse_product(WITH_USERS.replace("columns: [coast, shoe]", "columns: []"))


@pytest.mark.parametrize("value", ["sea", ["sea"], {str(n): "x" for n in range(21)}, {"coast": ["sea"]}])
def test_what_is_known_of_a_user_is_an_object_of_texts(value):
    with pytest.raises(ValueError):
        read_wishes({"user": value})


def test_numbers_are_texts_as_ids_are():
    assert read_wishes({"user": {"age": 7, "zip": "007"}}) == {"user": {"age": "7", "zip": "007"}}
