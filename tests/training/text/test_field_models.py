"""The tagger answers as the library that fitted it; rules are readable and hold on their rows."""

import numpy as np
import pytest

from rung.core.field_values import field_values
from rung.core.model import FitContext
from rung.modalities.text.field_patterns import FieldRule, RuleSet
from rung.modalities.text.linear_chain import LinearChain
from rung.modalities.text.ngrams import join_fields
from rung.models.field_rules import FieldRules, FieldRulesParams
from rung.models.field_tagger import FieldTagger, FieldTaggerParams
from rung.testing import tiny_examples
from rung.training.text.field_rule_search import learn_rules
from rung.training.text.tagger_fit import fit_chain, mark_rows, search_penalty

_, ROWS = tiny_examples("text_extraction")
TEXTS = join_fields(ROWS.inputs)


def test_numpy_decodes_as_crfsuite_does(tmp_path):
    """Tags are those of python-crfsuite's own tagger; probabilities as well, but for sequences that are no tags of values."""
    import pycrfsuite

    rows = mark_rows(TEXTS, ROWS.targets).texts
    place = tmp_path / "model"
    trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
    trainer.set_params({"c1": 0.05, "c2": 0.05, "max_iterations": 60, "feature.minfreq": 1.0})
    for row in rows:
        trainer.append(row.features, row.tags)
    trainer.train(str(place))
    theirs = pycrfsuite.Tagger()
    theirs.open(str(place))
    chain = fit_chain(rows, (0.05, 0.05), 60, 1)
    for row in rows:
        tags, chances = chain.decode(row.features)
        theirs.set(row.features)
        assert tags == theirs.tag()
        expected = [theirs.marginal(tag, i) for i, tag in enumerate(tags)]
        assert np.allclose(chances, expected, atol=1e-2)
    theirs.close()


def test_a_chain_never_begins_or_continues_a_value_of_another_field():
    tags = ["B-a", "B-b", "I-a", "I-b", "O"]
    rng = np.random.default_rng(0)
    chain = LinearChain(
        tags, [f"f{i}" for i in range(50)], rng.normal(0, 3, (50, 5)).astype(np.float32), np.zeros((5, 5))
    )
    for _ in range(50):
        found, chances = chain.decode([[f"f{i}" for i in rng.integers(0, 50, 3)] for _ in range(12)])
        assert not found[0].startswith("I-") and (chances >= 0).all() and (chances <= 1 + 1e-9).all()
        for before, after in zip(found, found[1:], strict=False):
            assert not after.startswith("I-") or before in {f"B{after[1:]}", after}


def test_values_that_do_not_stand_in_the_text_or_break_a_word_are_counted():
    rows = mark_rows(["Pay 12345 to Ann", "Pay Bob"], ['{"n": ["234"]}', '{"who": ["Bob"], "n": ["9"]}'])
    assert rows.absent == 2 and rows.texts[1].tags == ["O", "B-who"]
    broken = mark_rows(["see page12x"], ['{"n": ["12x"]}'])
    assert broken.absent + broken.inside_tokens >= 0


def test_penalties_are_searched_from_effort_3_on():
    rows = mark_rows(TEXTS * 2, ROWS.targets * 2).texts
    tried, scores = search_penalty(
        TEXTS * 2, ROWS.targets * 2, rows, 3, 0, lambda chain, text: "{}", lambda done, total: None
    )
    assert tried in {(0.05, 0.05), (0.3, 0.01), (0.02, 0.3)} and len(scores) == 3
    assert search_penalty(TEXTS, ROWS.targets, rows, 1, 0, lambda c, t: "{}", lambda d, t: None)[1] == {}


def test_rules_are_readable_right_and_as_general_as_they_may_be():
    model = FieldRules.fit(ROWS, FieldRulesParams(), FitContext())
    found = [field_values(answer.value) for answer in model.predict(ROWS.inputs)]
    truths = [field_values(target) for target in ROWS.targets]
    right = sum(f.get("amount") == t.get("amount") for f, t in zip(found, truths, strict=True))
    assert right >= 0.9 * len(ROWS)
    assert any("amount: " in line for line in model.chosen["most_used"])
    rules = learn_rules(TEXTS, ROWS.targets, 0.8, 2, 1_000)
    assert all(rule.right >= 2 and rule.right / (rule.right + rule.wrong) >= 0.8 for rule in rules)
    again = [FieldRule.from_dict(rule.as_dict()) for rule in rules]
    assert again == rules
    assert RuleSet(again).spans(TEXTS[0]) == RuleSet(rules).spans(TEXTS[0])


@pytest.mark.parametrize(
    "family,params", [(FieldTagger, FieldTaggerParams(l1=0.1, l2=0.1)), (FieldRules, FieldRulesParams())]
)
def test_answers_hold_no_more_values_than_training_rows_have(family, params):
    model = family.fit(ROWS, params, FitContext())
    (answer,) = model.predict(
        {"text": ["Ann Lee paid $10, Bob Stone paid $20, Carla Ruiz paid $30 for order 1000."]}
    )
    assert all(len(values) == 1 for values in field_values(answer.value).values())
