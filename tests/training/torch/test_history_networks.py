"""Networks over histories: the exported graph answers as the module, no event sees later ones, and a rung that loses to its rival is left out."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rung.core import registry
from rung.core.errors import RungError
from rung.core.model import FitContext, Rung
from rung.core.training_params import TrainingParams
from rung.core.types import Examples, Prediction
from rung.modalities.recommendation.history_params import HistoryParams
from rung.modalities.recommendation.network_scorer import NetworkScorer
from rung.modalities.recommendation.scorers import Moment
from rung.testing import tiny_examples
from rung.training.recommendation.popularity import learned
from rung.training.torch.history_fit import HistoryLearner, fit_history_network
from rung.training.torch.history_networks import HistoryNetwork, ItemTable, SasRec, UserTower
from rung.training.torch.history_onnx import write_history_network
from rung.training.torch.text_networks import NetworkShape
from rung.training.torch.trainer import train
from rung.workflows.second_look import require_better_than_rival

SHAPE = NetworkShape("transformer", 30, 0, 16, 24, 2, 2, 12, 0.0)
SMALL = HistoryParams(epochs=3, width=16, hidden=16, layers=1, most_events=6, window=3)


def encoder(kind):
    torch.manual_seed(0)
    return kind(SHAPE).eval()


def moment(*items):
    return Moment(np.array(items, np.int64), np.ones(len(items)), None, len(items))


@pytest.mark.parametrize("kind", [SasRec, UserTower])
def test_the_exported_graph_answers_as_the_module(kind):
    module, rng = encoder(kind), np.random.default_rng(0)
    vectors = rng.normal(size=(30, 16)).astype(np.float16)
    scorer = NetworkScorer(write_history_network(module, 16), vectors, np.zeros(30), 12, "it")
    for events in (1, 2, 5, 12):
        items = rng.integers(0, 30, (3, events))
        with torch.no_grad():
            expected = module(torch.as_tensor(vectors.astype(np.float32)[items]))[:, -1].numpy()
        assert scorer.users(items) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", [SasRec, UserTower])
def test_no_event_sees_what_comes_after_it(kind):
    module = encoder(kind)
    events = torch.randn(2, 8, 16)
    changed = events.clone()
    changed[:, 5:] = 9.0
    with torch.no_grad():
        before, after = module(events), module(changed)
    assert torch.allclose(before[:, :5], after[:, :5], atol=1e-6) and not torch.allclose(
        before[:, 5:], after[:, 5:]
    )


def test_what_stands_behind_a_suggestion_is_what_it_loses_without_the_event():
    module, rng = encoder(SasRec), np.random.default_rng(1)
    vectors = rng.normal(size=(30, 16)).astype(np.float16)
    scorer = NetworkScorer(write_history_network(module, 16), vectors, rng.normal(size=30), 12, "it")
    items, asked = (3, 9, 4, 7), np.array([1, 20])
    behind = scorer.behind(moment(*items), asked)
    whole = scorer.scores(moment(*items))[1][asked]
    without = scorer.scores(moment(3, 4, 7))[1][asked]
    assert behind.shape == (4, 2) and behind[1] == pytest.approx(whole - without, abs=1e-4)
    assert scorer.behind(moment(5), asked).shape == (1, 2)


def test_histories_longer_than_what_is_read_count_with_their_end():
    vectors = np.random.default_rng(2).normal(size=(30, 16)).astype(np.float16)
    scorer = NetworkScorer(write_history_network(encoder(SasRec), 16), vectors, np.zeros(30), 5, "it")
    long, short = moment(*range(20)), moment(*range(15, 20))
    assert scorer.scores(long)[1] == pytest.approx(scorer.scores(short)[1])
    assert not scorer.behind(long, np.array([25]))[:15].any()


def learner(kind=SasRec):
    _, examples = tiny_examples("recommendation")
    found = learned(examples, FitContext())
    torch.manual_seed(0)
    items = len(found.people.catalogue)
    network = HistoryNetwork(ItemTable(16, np.full(items, 1 / items), None), encoder(kind), 0.0)
    return HistoryLearner(network, found.people, SMALL, (), 0), found


def test_the_loss_is_the_mean_over_events_of_what_follows():
    own, _ = learner()
    with torch.no_grad():
        loss = float(own.loss(np.array([0])))
        history = torch.as_tensor(own.histories[0])
        users, vectors = own.network(history[None, :-1])
        chances = torch.log_softmax(users[0] @ vectors.T + own.network.table.bias, dim=1)
    expected = [
        -float(chances[place, history[place + 1 : place + 1 + SMALL.window]].mean())
        for place in range(len(history) - 1)
    ]
    assert loss == pytest.approx(np.mean(expected), abs=1e-5)


def test_a_sample_of_candidates_that_holds_all_items_gives_the_whole_loss(monkeypatch):
    own, found = learner()
    items = len(found.people.catalogue)
    with torch.no_grad():
        whole = float(own.loss(np.arange(4)))
        monkeypatch.setattr("rung.training.torch.history_fit.MOST_CANDIDATES", 1)
        monkeypatch.setattr("rung.training.torch.history_fit._SAMPLED", items)
        sampled = float(own.loss(np.arange(4)))
    assert sampled == pytest.approx(whole, abs=1e-5)


@pytest.mark.parametrize("kind", [SasRec, UserTower])
def test_training_learns_who_follows_whom(kind):
    own, found = learner(kind)
    train(own, TrainingParams(epochs=40, batch_rows=8, learning_rate=0.01, patience=0), FitContext())
    place, table = found.people.catalogue.place, own.network.table
    with torch.no_grad():
        vectors = table.vectors()
        users = own.network.encoder(vectors[torch.tensor([[place["whale"]], [place["fox"]]])])[:, -1]
        sea, land = (users @ vectors.T + table.bias).numpy()
    assert sea[place["boat"]] > sea[place["barn"]] and land[place["barn"]] > land[place["boat"]]


@pytest.mark.parametrize("name", ["sasrec", "two_tower"])
def test_a_fit_stops_early_and_trains_again_on_all(name):
    _, examples = tiny_examples("recommendation")
    found = learned(examples, FitContext())
    scorer, chosen = fit_history_network(name, found, None, SMALL, FitContext())
    assert 1 <= chosen["epochs"] <= 3 and len(chosen["training"]["score"]) <= 3
    by, scores = scorer.scores(moment(0, 1))
    assert by == name and scores.shape == (len(found.people.catalogue),) and np.isfinite(scores).all()


def test_heads_that_do_not_divide_the_width_are_refused():
    _, examples = tiny_examples("recommendation")
    with pytest.raises(RungError, match="divide the width 10"):
        fit_history_network(
            "sasrec", learned(examples, FitContext()), None, replace(SMALL, width=10, heads=3), FitContext()
        )
    with pytest.raises(RungError, match="most_events"):
        HistoryParams(most_events=1)


class Ranked:
    """A model that answers everyone with one list. list_: of ids."""

    RIVAL = ""

    def __init__(self, list_):
        self.list_ = list_

    def predict(self, inputs):
        return [Prediction(list(self.list_)) for _ in inputs["history"]]


@pytest.mark.parametrize("own,beats", [("b", True), ("c", False)])
def test_a_rung_that_does_not_beat_its_rival_in_time_is_refused(own, beats, monkeypatch, tmp_path):
    """After the cut everyone takes b. The rival suggests nobody that, the rung does or does not."""
    task = registry.task("recommendation")
    rows = [
        {"history": [[f"a{n}", float(n), 1.0] for n in range(12)], "target": (("b", 100.0, 1.0),)}
        for _ in range(30)
    ]
    schema = task.schema(task.default_inputs(()), [])
    count = len(rows)
    train = Examples(
        schema, {"history": [row["history"] for row in rows], "k": [None] * count, "exclude": [None] * count, "context": [None] * count},
        [list(map(list, row["target"])) for row in rows], [f"{n:016x}" for n in range(count)], list(range(count)), [0.0] * count,
    )  # fmt: skip

    def family(answer, rival=""):
        return type(
            "Family",
            (),
            {"RIVAL": rival, "Params": dict, "fit": classmethod(lambda cls, *a: Ranked([answer]))},
        )

    families = {"ease": family("a0"), "sasrec": family(own, "ease")}
    monkeypatch.setattr("rung.workflows.second_look.registry.model", lambda name: families[name])
    monkeypatch.setattr("rung.workflows.second_look.make_params", lambda made, given: None)
    events = []
    run = SimpleNamespace(
        step=lambda name, work: (tmp_path, work(tmp_path)),
        event=lambda name, **facts: events.append((name, facts)),
    )
    setup = SimpleNamespace(task=task, run=run, context=FitContext(), deadline=float("inf"))
    rung = Rung("sasrec", "sasrec", None, None, 0.0)
    if beats:
        require_better_than_rival(setup, rung, train)
    else:
        with pytest.raises(RungError, match="does not beat ease") as caught:
            require_better_than_rival(setup, rung, train)
        assert "0.0000 against 0.0000" in caught.value.problem
    assert [name for name, _ in events] == ["rival"]
