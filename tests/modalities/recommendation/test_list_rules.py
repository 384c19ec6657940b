"""Rules after the ranking: what each does to a list by itself, and how new items come first where that is wished."""

import numpy as np

from rung.core.types import Prediction
from rung.modalities.recommendation.catalogue import Catalogue, Item
from rung.modalities.recommendation.quality import effect_of_rules
from rung.modalities.recommendation.recommender import Shelf
from rung.modalities.recommendation.scorers import Popular
from rung.modalities.recommendation.wishes import Wishes
from rung.models.popularity import Popularity

DAY = 86_400.0
ITEMS = tuple(
    Item(f"i{n}", categories=("a" if n < 6 else "b",), added=None if n == 3 else n * 10 * DAY)
    for n in range(12)
)


def lists(history=(), **wishes):
    popular = np.arange(12.0, 0.0, -1.0)
    shelf = Shelf(Catalogue(ITEMS), popular, popular / popular.sum(), Wishes(**wishes))
    found = Popularity(shelf, Popular(popular), {}).predict({"history": [list(history)], "k": [4]})
    return found[0]


def test_freshness_moves_new_items_up_and_those_of_unknown_age_down():
    assert lists().value == ["i0", "i1", "i2", "i3"]
    assert lists(freshness=1.0).value == ["i11", "i10", "i9", "i8"]
    mixed = lists(freshness=0.3, fresh_days=100.0).value
    assert "i3" not in mixed and mixed != ["i0", "i1", "i2", "i3"]
    none = Catalogue((Item("x"), Item("y")))
    assert none.newness(30.0).tolist() == [0.0, 0.0]
    assert Catalogue(ITEMS).newness(10.0)[10] == 0.5


def test_each_rule_is_shown_by_itself():
    found = lists(block=("i0",), most_per_category=1, freshness=1.0)
    assert found.extra["by_score"] == ["i0", "i1", "i2", "i3"]
    assert found.extra["by_rule"] == {
        "block": ["i1", "i2", "i3", "i4"],
        "most_per_category": ["i0", "i6"],
        "freshness": ["i11", "i10", "i9", "i8"],
    }
    assert found.value == ["i11", "i5"]
    assert "by_rule" not in lists().extra


def test_the_effect_of_rules_is_that_of_each_and_of_all():
    answers = [lists(block=("i0",), freshness=1.0), Prediction(["i1"], extra={})]
    found = effect_of_rules([["i0"], ["i0"]], answers)
    assert found["rows"] == 1 and found["without"] == 1.0 and found["with"] == 0.0
    assert found["each"] == [{"rule": "block", "ndcg": 0.0}, {"rule": "freshness", "ndcg": 0.0}]
    assert effect_of_rules([["i0"]], [answers[1]]) == {}
