"""Items that a request brings are ranked by their content, without a rebuild; bad ones are named with their place."""

import pytest

from rung.core import registry
from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.recommendation.catalogue import Item, write_items
from rung.modalities.recommendation.wishes import read_wishes
from rung.testing import tiny_examples

SEA, LAND = ["whale", "boat", "reef", "tide", "gull"], ["fox", "barn", "moss", "hill", "crow"]
TITLES = {
    "sea": "The {} of the deep blue sea and the waves", "land": "The {} of the dry land and the woods",
    "海": "关于{}的深蓝大海与海浪", "陆": "关于{}的干燥陆地与森林",
}  # fmt: skip


@pytest.fixture(params=["sea land", "海 陆"])
def asked(request, tmp_path):
    """A model with titles of two subjects, as it was fitted and as a bundle loads it; and the titles."""
    one, two = request.param.split()
    items = [Item(name, TITLES[one].format(name), ("water",)) for name in SEA]
    items += [Item(name, TITLES[two].format(name), ("ground",)) for name in LAND]
    write_items(tmp_path / "items.jsonl", items)
    _, examples = tiny_examples("recommendation")
    family = registry.model("content")
    context = FitContext(effort=1, tables={"items": tmp_path / "items.jsonl"})
    model = family.fit(examples, family.Params(prior=0.1, new_items=True), context)
    (tmp_path / "model").mkdir()
    model.save(tmp_path / "model")
    loaded = family.load(tmp_path / "model", examples.schema)
    new = [
        {"item": "wet", "title": TITLES[one].format("squid"), "categories": ["water"]},
        {"item": "dry", "title": TITLES[two].format("stone")},
    ]
    return model, loaded, examples, new


def answer(model, history, **wishes):
    inputs = {"history": [[[item, None, 1.0] for item in history]], "context": [read_wishes(wishes)]}
    return model.predict(inputs)[0]


def test_new_items_are_ranked_by_what_they_are(asked):
    model, loaded, _, new = asked
    sea, land = (answer(loaded, own[:3], new_items=new).value for own in (SEA, LAND))
    assert sea.index("wet") < 3 and sea.index("wet") < sea.index("dry")
    assert land.index("dry") < land.index("wet")
    here, there = (answer(m, SEA[:3], new_items=new) for m in (model, loaded))
    assert here.value == there.value and here.extra["scores"] == pytest.approx(
        there.extra["scores"], abs=1e-5
    )
    found = dict(zip(there.value, there.extra["because"], strict=True))
    assert {event["item"] for event in found["wet"]} <= set(SEA[:3]) and found["wet"]


def test_the_model_itself_does_not_change_and_rules_hold_for_new_items(asked):
    _, loaded, _, new = asked
    before = answer(loaded, SEA[:2])
    answer(loaded, SEA[:2], new_items=new)
    assert answer(loaded, SEA[:2]).value == before.value and "wet" not in before.value
    assert "wet" not in answer(loaded, SEA[:2], new_items=new, without=["water"]).value
    assert answer(loaded, SEA[:2], new_items=new, pin=["dry"]).value[0] == "dry"
    # What was read today counts as history, by its content.
    wet = answer(loaded, ["wet"], new_items=new)
    assert wet.extra["unknown"] == [] and set(wet.value[:3]) <= set(SEA)
    known = answer(loaded, SEA[:2], new_items=[{"item": "fox", "title": TITLES["sea"]}])
    assert known.value == before.value


def test_a_model_of_ids_names_new_items_as_unknown(asked, tmp_path):
    *_, examples, new = asked
    family = registry.model("item_neighbours")
    model = family.fit(examples, family.Params(), FitContext(effort=1))
    found = answer(model, ["whale"], new_items=new)
    assert found.extra["unknown"] == ["wet", "dry"] and found.value == answer(model, ["whale"]).value


@pytest.mark.parametrize(
    "new,said",
    [
        ("wet", "a list in 'new_items'"),
        ([{"item": str(n)} for n in range(201)], "at most 200"),
        (["wet"], "new item 0, which is no object"),
        ([{"item": "a"}, {"title": "b"}], "no 'item' in new item 1"),
        ([{"item": "a", "colour": "red"}], "unknown key 'colour'"),
        ([{"item": "a", "title": 7}], "'title' of new item 0"),
        ([{"item": "a", "text": "x" * 5_001}], "5,000 characters in 'text'"),
        ([{"item": "a", "categories": "water"}], "'categories' of new item 0"),
        ([{"item": "a", "price": "cheap"}], "number in 'price'"),
    ],
)
def test_bad_new_items_are_named(new, said):
    with pytest.raises(ValueError, match=said):
        read_wishes({"new_items": new})


def test_without_words_categories_alone_carry_an_item(tmp_path):
    items = [Item(name, "", ("water",)) for name in SEA] + [Item(name, "", ("ground",)) for name in LAND]
    write_items(tmp_path / "items.jsonl", items)
    _, examples = tiny_examples("recommendation")
    assert isinstance(examples, Examples)
    family = registry.model("content")
    context = FitContext(effort=1, tables={"items": tmp_path / "items.jsonl"})
    model = family.fit(examples, family.Params(prior=0.1, new_items=True), context)
    (tmp_path / "model").mkdir()
    model.save(tmp_path / "model")
    loaded = family.load(tmp_path / "model", examples.schema)
    new = [{"item": "wet", "categories": ["water"]}, {"item": "odd", "categories": ["space"]}]
    found = answer(loaded, SEA[:3], new_items=new)
    assert loaded.chosen["words"] == "none" and found.value.index("wet") < found.value.index("odd")
