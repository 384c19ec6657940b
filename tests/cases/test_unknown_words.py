"""A text without any known word is answered by the labels' shares."""

import csv
import math
from collections import Counter
from pathlib import Path

import pytest

from rung.core import registry
from rung.core.model import FitContext
from rung.core.params import make_params
from rung.core.types import Examples, Field, Schema


@pytest.fixture(scope="module", params=[False, True], ids=["words", "characters"])
def fitted(request, tmp_path_factory):
    """The model saved and loaded, and the label shares of its training rows."""
    with (Path(__file__).parent / "rare.csv").open() as file:
        rows = list(csv.DictReader(file))
    counts = Counter(row["label"] for row in rows)
    labels, n = tuple(sorted(counts)), len(rows)
    schema = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", labels),))
    units = [f"{i:016x}" for i in range(n)]
    examples = Examples(
        schema,
        {"text": [row["text"] for row in rows]},
        [row["label"] for row in rows],
        units,
        range(n),
        [0.0] * n,
    )
    family = registry.model("tfidf_linear")
    params = make_params(family.Params, {"use_chars": request.param})
    folder = tmp_path_factory.mktemp("model")
    family.fit(examples, params, FitContext(0, 1, 0)).save(folder)
    return family.load(folder, schema), {label: count / n for label, count in counts.items()}


@pytest.mark.parametrize("text", ["qqzzjjx", "", "zzqxj jjqzx", "\u2603\u2603", "12345678901"])
def test_nonsense_is_answered_by_the_shares(fitted, text):
    model, shares = fitted
    (found,) = model.probabilities({"text": [text]})
    for label, probability in zip(model.labels, found, strict=True):
        assert probability == pytest.approx(shares[label], abs=0.12)
    loss = sum(
        -share * math.log(p)
        for share, p in zip(shares.values(), (found[model.labels.index(k)] for k in shares), strict=True)
    )
    entropy = -sum(share * math.log(share) for share in shares.values())
    assert loss <= entropy + 0.06


def test_texts_with_known_words_are_answered_as_before(fitted):
    model, _ = fitted
    with (Path(__file__).parent / "rare.csv").open() as file:
        texts = [row["text"] for row in csv.DictReader(file)][:50]
    from_scores = model._head.calibration.apply(model.scores({"text": texts}))
    assert model.probabilities({"text": texts}) == pytest.approx(from_scores)


def test_rows_of_a_batch_do_not_change_each_other(fitted):
    model, _ = fitted
    texts = ["qqzzjjx", "", "the parcel did not arrive"]
    together = model.probabilities({"text": texts})
    for text, row in zip(texts, together, strict=True):
        assert model.probabilities({"text": [text]})[0] == pytest.approx(row)
