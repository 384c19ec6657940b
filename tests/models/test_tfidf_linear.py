"""The numpy predictor is scikit-learn's pipeline to 1e-6, in both languages; its reasons add up."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import FeatureUnion
from sklearn.svm import LinearSVC

from rung.core.model import FitContext
from rung.core.types import Examples, Schema
from rung.modalities.text.ngrams import normalize_text, word_spans
from rung.models.tfidf_linear import TfidfLinear, TfidfLinearParams
from rung.tasks.text_classification import TextClassification


def examples_from(rows):
    texts, labels = [t for t, _ in rows], [y for _, y in rows]
    units = [f"{i:016x}" for i in range(len(rows))]
    schema = TextClassification().schema(["text"], labels)
    return Examples(schema, {"text": texts}, labels, units, list(range(len(rows))), [0.0] * len(rows))


def words_and_pairs(text):
    folded = normalize_text(text)
    words = [folded[a:b] for a, b in word_spans(folded)]
    return words + [f"{a}\0{b}" for a, b in zip(words, words[1:], strict=False)]


def chars(text):
    padded = [f" {token} " for token in normalize_text(text).split()]
    return [token[i : i + n] for token in padded for n in (2, 3, 4) for i in range(len(token) - n + 1)]


CHINESE = [
    ("这家酒店的房间很干净，服务员态度也好", "good"), ("早餐丰富，位置方便，下次还住", "good"),
    ("手机屏幕清晰，运行速度快", "good"), ("书的内容很有启发，值得一读", "good"),
    ("物流很快，包装完好，非常满意", "good"), ("性价比高，推荐购买", "good"),
    ("房间有霉味，隔音太差", "bad"), ("屏幕有坏点，客服不理人", "bad"), ("书页破损，印刷模糊", "bad"),
    ("等了两周才到货，失望", "bad"), ("电池一天要充三次，后悔买了", "bad"), ("早餐又冷又少，不会再来", "bad"),
] * 3  # fmt: skip


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("head", ["svc", "ridge", "logistic"])
def test_scores_equal_the_scikit_learn_pipeline(news_rows, language, head):
    rows = news_rows[::3] if language == "en" else CHINESE
    examples = examples_from(rows)
    c = 1.0
    params = TfidfLinearParams(
        words=2, chars=(2, 4), use_chars=True, chars_weight=0.7, head=head, c=c, min_rows=1
    )
    model = TfidfLinear.fit(examples, params, FitContext(effort=1))
    texts, codes = (
        examples.inputs["text"],
        np.array([examples.schema.labels.index(y) for y in examples.targets]),
    )
    union = FeatureUnion(
        [
            ("words", TfidfVectorizer(analyzer=words_and_pairs, sublinear_tf=True)),
            ("chars", TfidfVectorizer(analyzer=chars, sublinear_tf=True)),
        ],
        transformer_weights={"chars": 0.7},
    )
    tolerance = 0.1 if len(codes) > 300 else 1e-3
    estimator = {
        "svc": LinearSVC(C=c, tol=tolerance, random_state=0),
        "ridge": Ridge(alpha=1 / c, solver="sparse_cg", tol=1e-10),
        "logistic": LogisticRegression(C=c, tol=1e-5, max_iter=300, random_state=0),
    }[head]
    assert len(texts) <= 1000  # all rows are searched on, so C is used as given
    # The features, one by one, first: sorted, since columns stand in another order.
    theirs = np.sort(union.fit_transform(texts).toarray(), axis=1)[:, ::-1]
    from rung.modalities.text.tfidf import transform

    sparse = transform(texts, model._blocks)
    ours = np.zeros((len(texts), sparse.width))
    for row in range(len(texts)):
        piece = slice(sparse.starts[row], sparse.starts[row + 1])
        ours[row, sparse.columns[piece]] = sparse.values[piece]
    # Buckets of the hash hold a pair of n-grams here and there: a handful of cells may differ.
    width = min(theirs.shape[1], ours.shape[1])
    assert theirs.shape[1] - ours.shape[1] <= 0.01 * theirs.shape[1]
    close = np.abs(np.sort(ours, axis=1)[:, ::-1][:, :width] - theirs[:, :width]) < 1e-6
    assert close.mean() > 0.99
    # Then the predictor against scikit-learn's own decision function on these features.
    targets = (
        np.where(codes[:, None] == np.arange(len(examples.schema.labels)), 1.0, -1.0)
        if head == "ridge"
        else codes
    )
    from scipy.sparse import csr_matrix

    matrix = csr_matrix(
        (sparse.values.astype(float), sparse.columns, sparse.starts), (len(texts), sparse.width)
    )
    estimator.fit(matrix, targets)
    reference = estimator.predict(matrix) if head == "ridge" else estimator.decision_function(matrix)
    scores = model.scores(examples.inputs)
    if reference.ndim == 1:
        scores = scores[:, 1] - scores[:, 0]
    assert np.abs(scores - reference).max() < 1e-6


def test_char_ngrams_are_those_of_char_wb():
    text = "The cat, naïve!  sat 北京 ok"
    ours = sorted(g for g in chars(text))
    theirs = sorted(
        g
        for g in CountVectorizer(analyzer="char_wb", ngram_range=(2, 4)).build_analyzer()(
            normalize_text(text)
        )
    )
    assert ours == theirs


def test_reasons_add_up_to_the_winning_margin(news_rows):
    examples = examples_from(news_rows[::5])
    model = TfidfLinear.fit(examples, TfidfLinearParams(use_chars=True), FitContext(effort=1))
    one = {"text": [examples.inputs["text"][0]]}
    total = sum(reason.weight for reason in model.explain(one, most=10_000)[0])
    scores = model.scores(one)[0] - model._head.bias
    top = int((scores + model._head.bias).argmax())
    assert total == pytest.approx(scores[top] - scores.mean(), abs=0.01)


def test_reasons_are_words_of_the_text_in_both_languages(news_rows):
    model = TfidfLinear.fit(examples_from(CHINESE), TfidfLinearParams(), FitContext(effort=2))
    (reasons,) = model.explain({"text": ["房间很干净，早餐丰富"]})
    assert reasons and all(reason.text in "房间很干净，早餐丰富" for reason in reasons)
    assert model.predict({"text": ["房间很干净，早餐丰富"]})[0].value == "good"


def test_probabilities_are_calibrated_on_held_out_rows(news_rows):
    train, test = news_rows[::2], news_rows[1::2]
    model = TfidfLinear.fit(examples_from(train), TfidfLinearParams(), FitContext(effort=1))
    answers = model.predict({"text": [t for t, _ in test]})
    right = np.array([a.value == y for a, (_, y) in zip(answers, test, strict=True)])
    assert abs(np.mean([a.score for a in answers]) - right.mean()) < 0.08


def test_load_refuses_weights_that_do_not_fit(tmp_path, news_rows):
    from rung.core.errors import BundleError

    examples = examples_from(news_rows[::5])
    TfidfLinear.fit(examples, TfidfLinearParams(), FitContext(effort=0)).save(tmp_path)
    other = Schema(examples.schema.inputs, TextClassification().schema(["text"], ["a", "b"]).outputs)
    with pytest.raises(BundleError, match="do not fit 2 labels"):
        TfidfLinear.load(tmp_path, other)


def test_a_year_of_one_label_and_a_label_without_rows():
    schema = TextClassification().schema(["text"], ["a", "b", "never"])
    rows = examples_from([("red apple", "a"), ("blue sea", "b")] * 8)
    examples = Examples(schema, rows.inputs, rows.targets, rows.units, rows.rows, rows.times)
    model = TfidfLinear.fit(examples, TfidfLinearParams(), FitContext(effort=2))
    assert model.predict({"text": ["red apple"]})[0].value == "a"
