"""The two-sample test raises alarms no more often than it says, and sees a real difference, in both languages."""

import random

import pytest

from rung.training.text.two_sample_test import two_sample_test

WORDS = {
    "en": [
        "room",
        "hotel",
        "staff",
        "breakfast",
        "clean",
        "price",
        "bed",
        "street",
        "night",
        "view",
        "noise",
        "lift",
        "desk",
        "towel",
        "water",
        "door",
    ],
    "zh": list("房间酒店服务早餐干净价格床街道夜晚景色噪音电梯前台毛巾热水"),
}


def text(draw, lang, more=()):
    return ("" if lang == "zh" else " ").join(draw.choices([*WORDS[lang], *more], k=12))


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_alike_sides_raise_few_alarms(lang):
    """Of 200 pairs of equal sides at most one in ten has p <= 0.05, three standard errors allowed for."""
    draw = random.Random(0)
    alarms = 0
    for seed in range(200):
        sides = [[text(draw, lang) for _ in range(60)] for _ in range(2)]
        told = two_sample_test(*sides, seed=seed)
        alarms += told is not None and told.p_value <= 0.05
    assert alarms <= 200 * 0.05 + 3 * (200 * 0.05 * 0.95) ** 0.5


@pytest.mark.parametrize("lang,more", [("en", ["parking", "pool"]), ("zh", ["停车", "泳池"])])
def test_a_difference_is_seen_with_its_words(lang, more):
    draw = random.Random(1)
    told = two_sample_test(
        [text(draw, lang) for _ in range(300)], [text(draw, lang, more * 3) for _ in range(300)]
    )
    assert told is not None and told.p_value < 1e-6 and told.correct > 0.7 * told.n
    assert set(more) & set(told.theirs) and not set(more) & set(told.ours)


def test_few_rows_say_nothing_and_rare_words_are_not_shown():
    draw = random.Random(2)
    assert two_sample_test(["a b"] * 39, ["c d"] * 100) is None
    named = [text(draw, "en") + (" Schmidtke" if i < 4 else "") for i in range(100)]
    told = two_sample_test([text(draw, "en") for _ in range(100)], named)
    assert told is not None and "schmidtke" not in told.theirs
