"""What feedback may be learned, rule by rule."""

import pytest

from rung.improvement.feedback_filter import (
    AUTHOR_SHARE,
    CERTIFIES,
    CONTRADICTED,
    OUTLIER,
    TOO_FEW,
    UNKNOWN_LABEL,
    UNREADABLE,
    FilterRules,
    Vote,
    filter_feedback,
)

RULES = FilterRules(("sea", "land", "air"), ("sea", "land"), confidence_threshold=0.9, max_author_share=1.0)


def say(text, label, author="shop", reviews=False):
    return Vote(f"p-{text}-{author}", text, author, reviews, label)


def sort(opinions, answers=None, barred=(), rules=RULES):
    found = filter_feedback(opinions, answers or {}, set(barred), rules)
    return {i.text: i.label for i in found.accepted}, {
        k: [i.text for i in v] for k, v in found.rejected.items()
    }


def test_what_certifies_stays_out_whoever_says_it():
    learned, aside = sort([say("a", "sea", "ann", True), say("b", "sea")], barred="a")
    assert learned == {"b": "sea"} and aside == {CERTIFIES: ["a"]}


def test_a_label_nobody_announced_and_one_with_few_rows():
    five = [say(f"t{i}", "air") for i in range(5)]
    assert len(sort(five)[0]) == 5
    learned, aside = sort([*five[:4], say("x", "space"), say("y", "sea")])
    assert learned == {"y": "sea"} and aside == {UNKNOWN_LABEL: ["x"], TOO_FEW: ["t0", "t1", "t2", "t3"]}


def test_contradictions_wait_and_reviewers_outweigh_users():
    learned, aside = sort(
        [say("a", "sea", "x"), say("a", "land", "y"), say("b", "sea", "x"), say("b", "sea", "y")]
    )
    assert learned == {"b": "sea"} and aside == {CONTRADICTED: ["a"]}
    learned, _ = sort([say("a", "sea", "x"), say("a", "land", "y"), say("a", "land", "ann", True)])
    assert learned == {"a": "land"}
    assert sort([say("a", "sea", "ann", True), say("a", "land", "bo", True)])[1] == {CONTRADICTED: ["a"]}


@pytest.mark.parametrize(
    "answer,lone", [(("land", 0.95), False), (("land", 0.6), True), (("sea", 0.99), True)]
)
def test_one_user_alone_against_a_sure_answer_waits(answer, lone):
    assert bool(sort([say("a", "sea")], {"a": answer})[0]) is lone
    assert sort([say("a", "sea"), say("a", "sea", "other")], {"a": answer})[0] == {"a": "sea"}
    assert sort([say("a", "sea", "ann", True)], {"a": answer})[0] == {"a": "sea"}


def test_nobody_floods():
    rules = FilterRules(None, (), 1.0, 0.3)
    flood = [say(f"m{i:03d}", 1.0, "mallory") for i in range(200)]
    others = [say(f"o{i:03d}", 2.0, f"u{i % 7}") for i in range(70)]
    learned, aside = sort(flood + others, rules=rules)
    theirs = sum(text.startswith("m") for text in learned)
    assert theirs == 30 and len(learned) == 100 and len(aside[AUTHOR_SHARE]) == 170
    assert len(sort(flood, rules=rules)[0]) == 200, "an only author has nobody to outweigh"
    reviewed = [say(f"r{i:03d}", 2.0, "ann", True) for i in range(70)]
    learned, _ = sort(flood + reviewed, rules=rules)
    assert sum(text.startswith("r") for text in learned) == 70, "a lone reviewer keeps every word"
    agreed = [say(f"m{i:03d}", 1.0, "other") for i in range(200)]
    assert len(sort(flood + agreed, rules=rules)[0]) == 200, "what two say is nobody's alone"


def test_two_floods_at_once_end():
    rules = FilterRules(None, (), 1.0, 0.1)
    learned, _ = sort([say(f"{who}{i}", 1.0, who) for who in "ab" for i in range(50)], rules=rules)
    assert len(learned) == 0, "of two authors neither can have a tenth"


def test_outliers_are_named():
    assert sort([say("a", "sea")], {"a": ("land", 0.99)})[1] == {OUTLIER: ["a"]}


def test_an_answer_that_the_task_cannot_read_is_put_aside_unless_it_is_followed_by_another():
    learned, aside = sort(
        [say("a", None), say("b", None, "x"), say("b", "sea", "y"), say("c", None)], barred="c"
    )
    assert learned == {"b": "sea"} and aside == {UNREADABLE: ["a"], CERTIFIES: ["c"]}
