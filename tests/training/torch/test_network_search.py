"""A search tries kinds and sizes, prunes, goes on where it was killed, and trains the best one."""

from dataclasses import replace

import pytest

from rung.core.errors import FitCancelled, RungError
from rung.core.model import FitContext
from rung.modalities.text.network_search_params import NetworkSearchParams
from rung.models.network_search import NetworkSearch
from rung.testing import tiny_examples

PARAMS = NetworkSearchParams(
    trials=6, kinds=("mlp", "cnn_text"), epochs=3, init="random", width=16, vocabulary_size=300, max_tokens=24
)


class StopAt:
    """A channel that cancels after some reports."""

    def __init__(self, reports):
        self.left = reports

    def report(self, step, total, metrics):
        self.left -= 1

    def cancelled(self):
        return self.left <= 0


def rows():
    _, examples = tiny_examples("text_classification")
    held = list(range(0, len(examples), 3))
    learn = [row for row in range(len(examples)) if row not in held]
    return examples.take(learn), examples.take(held)


def test_a_search_that_was_stopped_goes_on_and_reports_what_mattered(tmp_path):
    learn, held = rows()
    context = FitContext(scratch=tmp_path, validation=held)
    with pytest.raises(FitCancelled):
        NetworkSearch.fit(learn, PARAMS, replace(context, channel=StopAt(2)))
    model = NetworkSearch.fit(learn, PARAMS, context)
    chosen = model.chosen
    # The trial that was cancelled counts as failed.
    assert 6 <= chosen["trials"] <= 7
    assert chosen["architecture"] in PARAMS.kinds
    best = chosen["best_trials"]
    assert best[0]["score"] == max(trial["score"] for trial in best)
    assert {trial["kind"] for trial in best} <= set(PARAMS.kinds)
    assert len(model.predict(learn.inputs)) == len(learn)


def test_the_same_seed_gives_the_same_search():
    learn, held = rows()
    one, two = (NetworkSearch.fit(learn, PARAMS, FitContext(validation=held)) for _ in range(2))
    assert one.chosen == two.chosen


def test_a_search_of_nothing_is_refused():
    with pytest.raises(RungError, match="trials is 0"):
        replace(PARAMS, trials=0)
