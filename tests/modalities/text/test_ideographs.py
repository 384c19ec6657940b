"""Chinese words, not single characters, explain an answer; the weights still sum."""

import numpy as np
import pytest

from rung.modalities.text.ideographs import join_ideographs
from rung.modalities.text.occlusion import explain_by_occlusion


def words(text, weights):
    found = join_ideographs(text, [(i, i + 1, w) for i, w in enumerate(weights)])
    assert sum(weight for *_, weight in found) == pytest.approx(sum(weights))
    return [text[start:end] for start, end, _ in found]


def test_runs_of_one_sign_are_words():
    assert words("房间很小", [1, 1, -1, -1]) == ["房间", "很小"]
    assert words("服务态度非常差", [1] * 7) == ["服务态度", "非常差"]


def test_a_character_that_is_left_alone_joins_its_neighbour():
    assert words("没有任何问题", [1, 1, -1, 1, 1, 1]) == ["没有任", "何问题"]
    assert words("任何问题", [-1, 1, 1, 1]) == ["任何问题"]
    assert words("很好a很", [1, 1, 1, 1]) == ["很好", "a", "很"], "letters are words of their own"
    assert words("好", [1]) == ["好"]


def test_occlusion_gives_words():
    def scores(texts):
        return np.array([[text.count("太") + text.count("吵"), 1.0] for text in texts])

    reasons = explain_by_occlusion("房间太吵 noisy", scores, 8)
    assert reasons[0].text == "太吵" and all(len(reason.text) > 1 for reason in reasons)
