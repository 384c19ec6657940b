"""The contrastive loss, how rows are drawn, and labels described in words."""

import numpy as np
import pytest
import torch
from torch import nn

from rung.core.errors import RungError
from rung.core.model import FitContext
from rung.core.params import make_params
from rung.modalities.text.fewshot_params import FewshotParams
from rung.models.fewshot_encoder import FewshotEncoder
from rung.testing import tiny_examples
from rung.training.torch import encoder_fewshot
from rung.training.torch.encoder_fewshot import ContrastiveLearner, contrastive_loss
from rung.training.torch.encoder_finetune import encoder_source


def test_the_loss_is_its_formula():
    features = nn.functional.normalize(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    codes, found = torch.tensor([0, 0, 1, 1, 1]), []
    for row in range(5):
        near = {
            other: float(torch.exp(features[row] @ features[other] / 0.2))
            for other in range(5)
            if other != row
        }
        same = [other for other in near if codes[other] == codes[row]]
        found.append(-np.mean([np.log(near[other] / sum(near.values())) for other in same]))
    assert np.allclose(contrastive_loss(features, codes, 0.2).numpy(), found, atol=1e-5)
    alone = contrastive_loss(features, torch.tensor([0, 1, 2, 3, 4]), 0.2)
    assert torch.equal(alone, torch.zeros(5))


def test_partners_are_other_rows_of_the_label_and_pairs_are_never_listed():
    codes = np.repeat(np.arange(200), 200)
    learner = ContrastiveLearner(nn.Linear(1, 1), [[1]] * len(codes), codes, 0.1)
    for row in range(0, len(codes), 997):
        partner = learner._partner(row)
        assert partner != row and codes[partner] == codes[row]
    single = ContrastiveLearner(nn.Linear(1, 1), [[1]], np.array([0]), 0.1)
    assert single._partner(0) == 0


def test_of_many_rows_as_many_are_drawn_as_was_asked_for(minilm, monkeypatch):
    _, examples = tiny_examples("text_classification")
    seen = []
    monkeypatch.setattr(
        encoder_fewshot, "train", lambda learner, params, _: seen.append((learner.drawn, params.epochs))
    )
    params = FewshotParams(weights=minilm, epochs=2, most_drawn=3)
    ids = [[101, 102]] * 40
    source = encoder_source(minilm, 16)
    encoder_fewshot._tuned(source, ids, np.arange(40) % 2, params, FitContext())
    encoder_fewshot._tuned(source, ids[:6], np.arange(6) % 2, params, FitContext())
    encoder_fewshot._tuned(source, ids[:3], np.arange(3) % 2, params, FitContext())
    assert [(len(set(rows.tolist())), epochs) for rows, epochs in seen] == [(6, 1), (6, 1), (3, 2)]
    assert seen[0][0].max() > 10, "drawn from all rows"


def test_descriptions_of_labels_that_no_row_has_are_refused(minilm):
    _, examples = tiny_examples("text_classification")
    params = make_params(FewshotEncoder.Params, {"weights": minilm, "descriptions": {"sports": "games"}})
    with pytest.raises(RungError, match="'sports', which no training row has"):
        FewshotEncoder.fit(examples, params, FitContext())


@pytest.mark.parametrize("most", [5_000, 0], ids=["logistic head", "ridge head"])
def test_few_rows_are_learned_with_labels_as_anchors(most, minilm, monkeypatch):
    monkeypatch.setattr(encoder_fewshot, "_LOGISTIC_ROWS", most)
    _, examples = tiny_examples("text_classification")
    given = {
        "weights": minilm,
        "anchors": True,
        "epochs": 2,
        "layers": "lora",
        "precision_on_disk": "float32",
    }
    model = FewshotEncoder.fit(examples, make_params(FewshotEncoder.Params, given), FitContext())
    right = [a.value == t for a, t in zip(model.predict(examples.inputs), examples.targets, strict=True)]
    assert np.mean(right) > 0.8
    assert model.chosen["anchors"] == 2


@pytest.mark.parametrize(
    "given,count", [({}, 0), ({"descriptions": {"sport": "matches and teams"}}, 2), ({"anchors": True}, 2)]
)
def test_descriptions_are_learned_where_there_are_some(given, count, minilm):
    """With one row a label, words about the label carry it."""
    _, examples = tiny_examples("text_classification")
    first = [examples.targets.index(label) for label in examples.schema.labels]
    short = {"weights": minilm, "epochs": 1, "layers": "lora", "precision_on_disk": "float32"}
    params = make_params(FewshotEncoder.Params, short | given)
    model = FewshotEncoder.fit(examples.take(first), params, FitContext())
    assert model.chosen["anchors"] == count
