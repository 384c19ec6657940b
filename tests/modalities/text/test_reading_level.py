"""Reading level: known texts have the grades that the formula gives them by hand, and a product may ask for it."""

import pytest

from rung.core.spec.writing import WritingSpec
from rung.modalities.text.reading_level import school_grade, sentence_chars, syllables
from rung.modalities.text.writing_rules import WritingRules

EASY = "The cat sat on the mat. It was a fat cat."
HARD = "Notwithstanding considerable organisational difficulties, the administration anticipated satisfactory accommodation."


@pytest.mark.parametrize(
    "word,count",
    [
        ("cat", 1),
        ("table", 2),
        ("make", 1),
        ("the", 1),
        ("reading", 2),
        ("banana", 3),
        ("tree", 1),
        ("hmm", 1),
    ],
)
def test_syllables(word, count):
    assert syllables(word) == count


def test_grades_are_those_of_the_formula():
    assert school_grade(EASY) == pytest.approx(0.39 * 11 / 2 + 11.8 * 11 / 11 - 15.59)
    assert school_grade(HARD) > 20
    assert school_grade("") == 0.0 and school_grade("明月松間照，清泉石上流。") is None


def test_sentences_of_chinese_are_counted_in_ideographs():
    assert sentence_chars("明月松間照，清泉石上流。竹喧。") == 6.0 and sentence_chars("。。") == 0.0


def test_a_text_breaks_what_it_is_too_hard_for():
    rules = WritingRules.from_dict(WritingSpec(max_grade=6, max_sentence_chars=25).model_dump())
    assert rules.broken(EASY) == () and rules.of_whole_texts
    assert rules.broken(HARD) == ("max_grade", "max_sentence_chars")
    assert rules.broken("明月松間照，清泉石上流。") == ("max_grade",)
    assert "school grade 6" in rules.in_words(100)
    assert {"max_grade", "max_sentence_chars"} <= set(rules.named)
