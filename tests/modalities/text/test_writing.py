"""Written texts: likeness, conditions, the steps after decoding, options, copies, corpora."""

import random

import numpy as np
import pytest
from pydantic import ValidationError

from rung.core.errors import InputError, RungError
from rung.core.kind import kind
from rung.core.metrics.scored import ScoredRows, bound
from rung.core.registry import task as task_of
from rung.core.spec.writing import WritingSpec
from rung.core.task import ColumnRoles
from rung.core.types import Field, Prediction, Row
from rung.modalities.text.copied_text import CopiedText
from rung.modalities.text.corpus import passages
from rung.modalities.text.likeness import chrf, distinct, repetition, rouge_l
from rung.modalities.text.sentences import ends_sentence, split_sentences
from rung.modalities.text.writer import WholeText
from rung.modalities.text.writing_options import WritingOptions
from rung.modalities.text.writing_rules import WritingRules
from rung.modalities.text.writing_steps import Finisher

TASK = task_of("text_generation")


def test_likeness_is_one_for_equal_and_falls_with_difference():
    assert chrf("the cat sat", "the cat sat") == rouge_l("the cat sat", "The  cat sat") == 1.0
    assert 0 < chrf("the cat sat", "the cat ran") < 1 and chrf("abc", "xyz") == 0.0
    # Three of four words in order, against three: 2 * 3 / 7.
    assert rouge_l("the cat sat down", "the cat down") == pytest.approx(6 / 7)
    assert rouge_l("明月松間照", "明月松下照") == pytest.approx(0.8)
    assert chrf("", "") == 1.0 and chrf("a", "") == 0.0
    assert distinct("a b a b a") == 0.5 and repetition("one two three four five") == 0.0
    assert repetition("a b c d a b c d") > 0


def test_rouge_equals_a_plain_longest_common_subsequence():
    rng = random.Random(0)

    def plain(one, other):
        rows = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
        for i, a in enumerate(one):
            for j, b in enumerate(other):
                rows[i + 1][j + 1] = rows[i][j] + 1 if a == b else max(rows[i][j + 1], rows[i + 1][j])
        return rows[-1][-1]

    for _ in range(50):
        one, other = ([rng.choice("abcd") for _ in range(rng.randint(1, 90))] for _ in range(2))
        expected = 2 * plain(one, other) / (len(one) + len(other))
        assert rouge_l(" ".join(one), " ".join(other)) == pytest.approx(expected)


def finish(text, rules, **options):
    finisher = Finisher(rules, WritingOptions(**options))
    return "".join(finisher.pieces(WholeText(text))), finisher.trace


def test_each_step_does_what_its_name_says():
    rules = WritingRules(banned=("stupid",), max_chars=80)
    text = "Hello there. A stupid word. Hello there. Write to ann@example.com. Bye."
    said, trace = finish(text, rules)
    assert said == "Hello there. Write to <EMAIL_1>. Bye."
    assert trace.dropped == 2 and dict(trace.personal) == {"email": 1} and trace.finish == "end"
    assert list(trace.texts()) == ["draft", "banned_words", "repetition", "personal_data", "length"]
    assert trace.texts()["draft"] == text and "stupid" not in trace.texts()["banned_words"]
    assert finish(text, WritingRules(banned=("stupid",), steps=()))[0] == text
    # 'stupidity' is another word; ideographs know no boundaries.
    assert "stupidity" in finish("What stupidity.", rules)[0]
    assert finish("你真笨啊。好。", WritingRules(banned=("笨",)))[0] == "好。"


@pytest.mark.parametrize("most", [1, 5, 12, 13, 14, 30, 400])
def test_no_text_is_longer_than_asked_and_it_ends_with_a_sentence_where_one_has_room(most):
    said, trace = finish("Hello there. How are you? Fine.", WritingRules(max_chars=most))
    assert len(said) <= most
    if most >= 12:
        assert said[-1] in ".?" and trace.finish == ("length" if most < 31 else "end")


def test_a_loop_of_words_ends_and_a_stop_ends_before_its_text():
    said, _ = finish("go go go go go go go. " * 9, WritingRules())
    assert len(said) < 30
    said, trace = finish("One. Two. Three.", WritingRules(), stop=("Two",))
    assert said == "One." and trace.finish == "stop"
    assert finish("One. Two.", WritingRules(), stop=("never",))[1].finish == "end"


def test_conditions_are_told_one_by_one():
    rules = WritingRules(5, 10, ("bad",), ("Ann",), "[A-Za-z ]+", {"type": "object"}, 6)
    assert set(rules.broken("a bad 1", copied=7)) == {
        "banned",
        "wanted",
        "matches",
        "json_schema",
        "most_copied",
    }
    assert rules.broken("ann") == ("min_chars", "json_schema") and "max_chars" in rules.broken("ann" * 4)
    assert WritingRules(json_schema={"type": "object", "required": ["a"]}).broken('{"a": 1}') == ()


@pytest.mark.parametrize(
    "given,problem",
    [
        ({"min_chars": 50, "max_chars": 40}, "no text is both"),
        ({"banned": ["Red"], "wanted": ["red"]}, "both banned and wanted"),
        ({"wanted": ["long word"], "max_chars": 3}, "wanted words alone"),
        ({"matches": "(a+)+"}, "take forever"),
        ({"matches": "("}, "no regular expression"),
        ({"json_schema": {"type": "string", "minLength": 5, "maxLength": 2}}, "no value is both"),
        ({"json_schema": {"required": ["a"], "properties": {}, "additionalProperties": False}}, "required and not among"),
        ({"banned": [" "]}, "1 to 100 characters"),
        ({"max_chars": 5_000}, "less than or equal"),
    ],
)  # fmt: skip
def test_conditions_that_contradict_themselves_are_refused(given, problem):
    with pytest.raises(ValidationError, match=problem):
        WritingSpec.model_validate(given)


@pytest.mark.parametrize(
    "value",
    [{"temperature": 3}, {"temperature": True}, {"seed": -1}, {"max_chars": 0}, {"max_chars": 1.5}, {"stop": ["a"] * 5}, {"stop": [""]},
     {"top_p": float("nan")}, {"unknown": 1}, [1], "words", {"candidates": 99}],
)  # fmt: skip
def test_options_out_of_bounds_are_refused(value):
    with pytest.raises(InputError):
        kind("writing_options").reader(Field("options", "writing_options", "input"))(value, "row 0")


def test_copies_are_found_from_a_length_on_and_chance_is_not_one():
    rng = random.Random(1)
    words = [rng.choice(["red", "lamp", "ships", "today", "from", "our", "house"]) for _ in range(2_000)]
    copies = CopiedText.learn([" ".join(words)])
    own = " ".join(words)
    for start in range(0, 300, 7):
        piece = own[start : start + copies.least + 2]
        assert copies.longest("Something else: " + piece) >= copies.width
    assert copies.longest("nothing of this stands in any text that it was given to learn from") == 0
    wide = CopiedText.learn(["秦川雄帝宅，函谷壯皇居。綺殿千尋起，離宮百雉餘。"])
    assert wide.width == 12 and wide.longest("秦川雄帝宅，函谷壯皇居。綺殿千尋起。") >= 15


def test_sentences_join_to_their_text():
    for text in (
        "One. Two?  Three\nfour 4.5 five",
        "你好。“好吗？”他说。好！",
        "",
        "x" * 3_000,
        "no end " * 400,
    ):
        assert "".join(split_sentences(text)) == text
    assert split_sentences("It costs 4.5 euros. Yes.") == ["It costs 4.5 euros. ", "Yes."]
    assert ends_sentence("Yes. ") and ends_sentence("好。") and not ends_sentence("Yes")


def test_a_corpus_becomes_prompts_and_texts_of_one_unit():
    (only,) = passages("The lamp is red. It ships today. Order now.")
    assert only.prompt == "The lamp is red. " and only.text == "It ships today. Order now."
    assert list(passages("word")) == [] and list(passages("  ")) == []
    assert next(passages("one two three four")).prompt == "one two "
    document = "This is a sentence of some length, number one. " * 100
    parts = list(passages(document))
    assert len(parts) > 3 and "".join([parts[0].prompt, *(p.text for p in parts)]) == document.strip()
    roles = ColumnRoles(("prompt",), "text", corpus="whole")
    rows = [Row("f", i, {"whole": text}) for i, text in enumerate([document, "word", None], 1)]
    made = list(TASK.reshape(iter(rows), roles))
    assert len({TASK.unit_key(row.values, roles) for row in made[: len(parts)]}) == 1
    assert roles.notes == {"documents_too_short": 2} and made[-1].values["text"] is None


def test_the_share_of_conditions_is_bounded_exactly():
    schema = TASK.with_writing(TASK.schema(("prompt",), []), WritingSpec(max_chars=5))
    metric = TASK.metric("condition:max_chars", schema)
    answers = [Prediction("short")] * 59
    rows = ScoredRows(["x"] * 59, answers, schema, [f"{i:016x}" for i in range(59)], {})
    found = bound(metric, rows, 0.05)
    assert found.exact and found.value == pytest.approx(0.05 ** (1 / 59))
    with pytest.raises(RungError, match="asks for no"):
        TASK.metric("condition:banned", schema)


def test_a_bound_of_chrf_holds_as_often_as_it_says():
    """Draws documents from a population whose mean is known: the bound lies above it in no more than alpha of the draws."""
    metric = TASK.metric("chrf", TASK.schema(("prompt",), []))
    rng = np.random.default_rng(3)
    texts = ["red lamp", "red lamps", "blue chair", "old oak table", "lamp"]
    values = np.array([chrf("red lamp", text) for text in texts])
    odds = np.array([0.2, 0.3, 0.2, 0.2, 0.1])
    wrong = 0
    for _ in range(200):
        picked = rng.choice(len(texts), 40, p=odds)
        units = [f"{number:016x}" for number in rng.integers(0, 2**60, 40).tolist()]
        answers = [Prediction(texts[i]) for i in picked]
        rows = ScoredRows(["red lamp"] * 40, answers, TASK.schema(("prompt",), []), units, {})
        wrong += bound(metric, rows, 0.1).value > float(values @ odds)
    assert wrong <= 30
