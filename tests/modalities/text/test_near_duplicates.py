"""Near duplicates are found in English and Chinese, unrelated texts are not, and labels play no part."""

import random
import re
import unicodedata
from collections import Counter

import numpy as np
import pytest

from rung.modalities.text import near_duplicates
from rung.modalities.text.near_duplicates import (
    MIN_SIMILARITY,
    MIN_WORDS,
    LshIndex,
    MinHasher,
    cluster_labels,
    min_similarity,
    near_duplicate_pairs,
)
from rung.modalities.text.ngrams import normalize_text


@pytest.fixture(scope="module")
def chinese_texts():
    """900 different Chinese sentences put together from clauses of real words."""
    draw = random.Random(1)
    words = "酒店 房间 服务 早餐 干净 位置 价格 前台 态度 便宜 周围 交通 方便 环境 安静 设施 陈旧 空调 网络 速度 书籍 内容 故事 作者 翻译 印刷 纸张 孩子 喜欢 推荐 手机 屏幕 电池 外观 键盘 散热 性能 系统 配置 运行".split()  # noqa: SIM905
    return ["，".join("".join(draw.sample(words, 4)) for _ in range(6)) for _ in range(900)]


@pytest.fixture(params=["en", "zh"])
def texts(request, news_rows, chinese_texts):
    found = [text for text, _ in news_rows] if request.param == "en" else chinese_texts
    return list(dict.fromkeys(found))[:500]


def units(text):
    return (text.split(), " ") if " " in text else (list(text), "")


def dropped(text, draw):
    words, join = units(text)
    return join.join(word for word in words if draw.random() > 0.1)


def reordered(text, draw):
    pieces = re.split(r"(?<=[.，])", text)
    draw.shuffle(pieces)
    return "".join(pieces)


def misread(text, draw):
    return "".join(
        draw.choice("lo0crn人入") if char.isalnum() and draw.random() < 0.03 else char for char in text
    )


@pytest.mark.parametrize("change", [dropped, reordered, misread])
def test_planted_copies_are_found_and_nothing_else(texts, change):
    draw = random.Random(2)
    sketcher = MinHasher(texts)
    index = LshIndex(sketcher, texts)
    # The data has near duplicates of its own; they are not what is counted here.
    own = near_duplicate_pairs(sketcher, texts)
    alike = {*own.left.tolist(), *own.right.tolist()}
    pairs = index.find_duplicates([change(text, draw) for text in texts])
    right = {
        other for one, other in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True) if one == other
    }
    wrong = {
        other for one, other in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True) if one != other
    }
    assert len(right | wrong & alike) >= 0.9 * len(texts)
    assert len(wrong - alike) <= 0.01 * len(texts)


def test_sketches_estimate_the_similarity(texts):
    """Slots agree with probability J, a little less often in long texts, whose shingles are thinned by length."""
    draw = random.Random(3)
    sketcher = MinHasher(texts)
    copies = [dropped(text, draw) for text in texts]
    exact = np.array([sketcher.similarity(a, b) for a, b in zip(texts, copies, strict=True)])
    found = (sketcher.signatures(texts)[0] == sketcher.signatures(copies)[0]).mean(axis=1)
    assert abs(float(np.mean(found - exact))) < 0.06 and 0.6 < exact.mean() < 0.98
    assert np.corrcoef(found, exact)[0, 1] > 0.5


def test_a_form_filled_in_differently_is_no_copy():
    draw = random.Random(4)
    names = [
        f"{draw.choice('BCDFGKLMNPRST')}{draw.choice('aeiou')}{draw.choice('lmnrst')}{draw.choice('aeiou')}"
        for _ in range(600)
    ]
    rows = [
        f"Request of {a} {b} from {c}: {d} {e} {f}, {g} {h} was {i} {j}"
        for a, b, c, d, e, f, g, h, i, j in (draw.sample(names, 10) for _ in range(300))
    ]
    assert len(near_duplicate_pairs(MinHasher(rows), rows)) == 0


def test_short_texts_are_let_alone():
    rows = ["not good at all", "good at all", "不好吃", "好吃", "One of the best", "One of the worst"]
    assert len(near_duplicate_pairs(MinHasher(rows), rows)) == 0


def test_short_texts_must_be_more_alike():
    """Another verdict on the same form is no copy; the same words with a mark or a number more are one."""
    wanted = [min_similarity(words) for words in (1, MIN_WORDS, 6, 8, 12, 16, 400)]
    assert wanted == sorted(wanted, reverse=True) and wanted[-2:] == [MIN_SIMILARITY] * 2 and wanted[0] == 0.9
    rows = [
        "One of the best movies of the year.",
        "One of the worst movies of the year.",
        "键盘手感不好",
        "键盘手感好",
    ]
    assert len(near_duplicate_pairs(MinHasher(rows), rows)) == 0
    rows = [
        "一、键盘手感好，散热也不错",
        "键盘手感好，散热也不错。",
        "The keyboard feels just right and the fans stay quiet at night.",
        "the keyboard feels just right and the fans stay quiet at night!!",
    ]
    found = near_duplicate_pairs(MinHasher(rows), rows)
    assert sorted(zip(found.left.tolist(), found.right.tolist(), strict=True)) == [(0, 1), (2, 3)]


def test_clusters_join_chains_and_large_groups(texts):
    draw = random.Random(5)
    planted = [dropped(texts[0], draw) for _ in range(40)] + texts
    member = cluster_labels(near_duplicate_pairs(MinHasher(planted), planted), len(planted))
    assert Counter(member.tolist()).most_common(1)[0][1] >= 39
    assert len(set(member[:41])) <= 3


def test_nothing_and_empty_texts():
    assert len(near_duplicate_pairs(MinHasher([]), [])) == 0
    rows = ["", " ", "。", "a", ""]
    assert len(near_duplicate_pairs(MinHasher(rows), rows)) == 0
    assert len(LshIndex(MinHasher(rows), []).find_duplicates(rows)) == 0
    assert near_duplicates.MIN_SIMILARITY == MIN_SIMILARITY


def test_the_same_texts_give_the_same_pairs(texts):
    draw = random.Random(6)
    rows = texts + [dropped(text, draw) for text in texts[:50]]
    one, other = (near_duplicate_pairs(MinHasher(rows), rows) for _ in range(2))
    assert one.left.tolist() == other.left.tolist() and one.similarity.tolist() == other.similarity.tolist()
    assert len(one) >= 40


def test_wide_marks_fold_as_nfkc_does_whatever_follows():
    marks = [chr(code) for code in range(0x110000) if unicodedata.combining(chr(code))]
    for wide in "，！？：；（）":
        for mark in marks:
            text = f"一{wide}{mark}Ｂ{mark}{wide}"
            assert normalize_text(text) == " ".join(unicodedata.normalize("NFKC", text).lower().split())
