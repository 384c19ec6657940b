"""Tokens and places in texts: every value is found where it stands, whatever the script, and nowhere else."""

import pytest

from rung.core.field_values import field_values
from rung.modalities.text.span_features import shape_of, token_features
from rung.modalities.text.spans import Span, answer_of, find_value, mark, tokens_of


def words(text):
    return [text[start:end] for start, end in tokens_of(text)]


@pytest.mark.parametrize(
    "text,expected",
    [
        ("Pay $3,867.97 by 2/5", ["Pay", "$", "3", ",", "867", ".", "97", "by", "2", "/", "5"]),
        ("我叫王芳，订单JD123。", ["我", "叫", "王", "芳", "，", "订", "单", "JD", "123", "。"]),
        ("caf\u00e9 nai\u0308ve", ["café", "nai", "\u0308", "ve"]),
        ("ab王cd", ["ab", "王", "cd"]),
        ("", []),
        ("   \n", []),
    ],
)
def test_tokens(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize(
    "text,value,places",
    [
        ("Ann and Joann met ANN", "ann", ["Ann", "ANN"]),
        ("order 12, 123 and 12", "12", ["12", "12"]),
        ("订单JD1234扣了", "JD1234", ["JD1234"]),
        ("金额３００元整", "300元", ["３００元"]),
        ("12 Main St,\n  Leeds", "12 main st, leeds", ["12 Main St,\n  Leeds"]),
        ("a+b (c)", "a+b (c)", ["a+b (c)"]),
        ("nothing here", "Bob", []),
        ("anything", "", []),
    ],
)
def test_values_are_found_whole(text, value, places):
    assert [text[start:end] for start, end in find_value(text, value)] == places


def test_marks_do_not_overlap_and_absent_values_are_counted():
    spans, absent = mark(
        "New York Times of New York", {"paper": ["New York Times"], "city": ["New York", "Rome"]}
    )
    assert [(s.field, s.start, s.end) for s in spans] == [("paper", 0, 14), ("city", 18, 26)] and absent == 1


def test_an_answer_holds_the_surest_values_and_their_places():
    text = "Ann paid Bob, ann paid again, Carl watched"
    spans = [
        Span("who", 0, 3, 0.9), Span("who", 9, 12, 0.6), Span("who", 14, 17, 0.8), Span("who", 30, 34, 0.7), Span("what", 4, 12, 0.5),
    ]  # fmt: skip
    answer = answer_of(text, spans, {"who": 2, "what": 1}, "test")
    assert dict(field_values(answer.value)) == {"who": ("Ann", "Carl")}
    assert [place["value"] for place in answer.extra["places"]] == ["Ann", "Carl"]
    assert answer.score == 0.7
    nothing = answer_of(text, [], {"who": 1}, "test")
    assert nothing.value == "{}" and nothing.score == 1.0


def test_features_tell_the_shape_and_what_opens_the_line():
    text = "Name: Ann\nTotal：12"
    tokens = tokens_of(text)
    features = token_features(text, tokens)
    assert len(features) == len(tokens) and "k=name" in features[2] and "k=total" in features[-1]
    assert "k=" in features[0]
    assert [shape_of(word) for word in ("IBM", "Ann", "ann", "2024", "王", "$", "A")] == [
        "XX",
        "Xx",
        "x",
        "d4",
        "c",
        "$",
        "X",
    ]


def test_a_long_text_is_read_to_its_limit_in_linear_time():
    text = "王a1 " * 60_000
    assert len(tokens_of(text)) <= 100_000
    assert find_value(text, "no such value") == []
