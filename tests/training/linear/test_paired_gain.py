"""Class weights and varied copies are kept only where they gain; a choice without effect is kept one time in twenty."""

import numpy as np
import pytest

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.models.tfidf_linear import TfidfLinear, TfidfLinearParams
from rung.tasks.text_classification import TextClassification
from rung.training.linear.feature_matrix import FeatureMatrix
from rung.training.linear.paired_gain import accuracy, is_significant_gain, macro_f1
from rung.training.linear.ridge import dual_ridge
from rung.training.linear.search import HeadCandidate, balanced_row_weights, fit_weights
from rung.training.text.augmentation import augment_texts


@pytest.mark.parametrize("score", [accuracy, macro_f1], ids=["accuracy", "macro_f1"])
def test_a_choice_without_effect_is_kept_about_once_in_twenty(score):
    """Both answers are right on the same share of rows, each by its own luck: 400 times."""
    rng = np.random.default_rng(0)
    kept = 0
    for turn in range(400):
        codes = rng.integers(0, 3, 300)
        one, other = (np.where(rng.random(300) < 0.8, codes, rng.integers(0, 3, 300)) for _ in range(2))
        kept += is_significant_gain(codes, one, other, 3, score, turn)
    # Five in a hundred of 400 is 20; four standard deviations of chance above that.
    assert kept <= 38


def test_a_real_gain_is_kept_and_a_loss_is_not():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 2, 500)
    bad, good = (np.where(rng.random(500) < share, codes, 1 - codes) for share in (0.75, 0.85))
    assert is_significant_gain(codes, bad, good, 2, accuracy, 0) and not is_significant_gain(
        codes, good, bad, 2, accuracy, 0
    )
    assert not is_significant_gain(codes, good, good, 2, accuracy, 0)


def test_macro_f1_is_the_metrics():
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(2)
    codes, answers = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    assert macro_f1(codes, answers, np.ones(200), 4) == pytest.approx(
        f1_score(codes, answers, average="macro")
    )


def test_weighted_ridge_is_scikit_learns():
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(3)
    features, codes = rng.normal(size=(60, 8)), (rng.random(60) < 0.2).astype(np.int64)
    targets, weights = np.where(codes[:, None] == [0, 1], 1.0, -1.0), balanced_row_weights(codes)
    assert weights.mean() == pytest.approx(1) and weights[codes == 1].sum() == pytest.approx(
        weights[codes == 0].sum()
    )
    dual, bias = dual_ridge(features @ features.T, targets, 0.7, weights)
    theirs = Ridge(alpha=0.7).fit(features, targets, sample_weight=weights)
    assert (
        np.abs(features.T @ dual - theirs.coef_.T).max() < 1e-8
        and np.abs(bias - theirs.intercept_).max() < 1e-8
    )
    for head in ("svc", "ridge", "logistic"):
        plain = fit_weights(FeatureMatrix((features,)), codes, 2, HeadCandidate("x", head, 1.0), 0)[1]
        even = fit_weights(FeatureMatrix((features,)), codes, 2, HeadCandidate("x", head, 1.0, True), 0)[1]
        assert even[1] - even[0] > plain[1] - plain[0]


def examples(texts, labels):
    schema = TextClassification().schema(["text"], labels)
    n = len(texts)
    return Examples(
        schema, {"text": texts}, labels, [f"{i:016x}" for i in range(n)], list(range(n)), [0.0] * n
    )


@pytest.fixture(scope="module")
def skewed():
    """English and Chinese tickets: 540 of one label, 60 of the other, telling words in most of them."""
    rng = np.random.default_rng(4)
    filler = [
        "the",
        "app",
        "is",
        "slow",
        "today",
        "and",
        "i",
        "wait",
        "请问",
        "昨天",
        "的",
        "订单",
        "还没",
        "到",
        "谢谢",
    ]
    telling = {"normal": ["hello", "question", "咨询"], "urgent": ["fire", "danger", "着火"]}
    texts, labels = [], []
    for label, n in (("normal", 540), ("urgent", 60)):
        for _ in range(n):
            own = telling[label if rng.random() < 0.8 else "normal"]
            texts.append(" ".join([*rng.choice(filler, 12), rng.choice(own)]))
            labels.append(label)
    order = rng.permutation(600)
    return examples([texts[i] for i in order], [labels[i] for i in order])


def test_weights_are_tried_only_where_the_bar_speaks_of_f1(skewed):
    accurate = TfidfLinear.fit(skewed, TfidfLinearParams(), FitContext(effort=0))
    assert accurate.chosen["balanced"] is False and accurate.chosen["candidates_tried"] == 1
    forced = TfidfLinear.fit(skewed, TfidfLinearParams(class_weight="balanced"), FitContext(effort=0))
    assert forced.chosen["balanced"] is True
    asked = TfidfLinear.fit(skewed, TfidfLinearParams(), FitContext(effort=0, goal="macro_f1"))
    assert (
        asked.chosen["candidates_tried"] == 2
        and asked.chosen["calibration"] == "temperature"
        or not asked.chosen["balanced"]
    )
    never = TfidfLinear.fit(
        skewed, TfidfLinearParams(class_weight="none"), FitContext(effort=0, goal="macro_f1")
    )
    assert never.chosen["candidates_tried"] == 1


def test_variants_are_deterministic_and_keep_most_of_the_text():
    texts = [
        "where is my parcel it should have come on monday morning " * 3,
        "请问我的快递什么时候能送到，昨天就该到了" * 3,
    ]
    for kind in ("words", "chars"):
        once = augment_texts(texts, kind, 7)
        assert once == augment_texts(texts, kind, 7) and once[1:] != texts[1:] and once[0] != texts[0]
        assert all(
            0.7 * len(text) < len(other) < 1.2 * len(text) for text, other in zip(texts, once, strict=True)
        )
    assert augment_texts(["word"], "words", 0) == ["word"] and augment_texts([""], "chars", 0) == [""]


def test_varied_copies_join_the_fit_only_where_they_gain(skewed, monkeypatch):
    for verdict, kept in ((False, "none"), (True, "words")):
        monkeypatch.setattr(
            "rung.training.text.augmentation_search.is_significant_gain",
            lambda *args, verdict=verdict: verdict,
        )
        model = TfidfLinear.fit(skewed, TfidfLinearParams(augment="auto"), FitContext(effort=0))
        assert model.chosen["augment"] == kept
    plain = TfidfLinear.fit(skewed, TfidfLinearParams(), FitContext(effort=0))
    monkeypatch.setattr("rung.training.text.augmentation_search.is_significant_gain", lambda *args: False)
    refused = TfidfLinear.fit(skewed, TfidfLinearParams(augment="chars"), FitContext(effort=0))
    assert (refused.scores(skewed.inputs) == plain.scores(skewed.inputs)).all()
