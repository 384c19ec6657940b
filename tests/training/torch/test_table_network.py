"""The network of a table answers in numpy as in torch, learns, explains exactly, and is stored as arrays."""

import numpy as np
import pytest
import torch

from rung.core.model import FitContext
from rung.modalities.tables.features import Cells
from rung.modalities.tables.network import TableNetwork
from rung.training.tables.network import DEFAULTS, fit_network
from rung.training.tables.objective import TrainingTargets
from rung.training.torch.table_network import TableModule

SETTINGS = {**DEFAULTS, "members": 4, "width": 16, "epochs": 15, "frequencies": 3, "learning_rate": 1e-2}


def cells(rows=240, seed=0):
    draw = np.random.default_rng(seed)
    numbers = draw.normal(size=(rows, 3))
    numbers[draw.random(rows) < 0.1, 1] = np.nan
    return Cells(numbers, draw.integers(0, 5, (rows, 2)).astype(np.int32), (5, 6))


def labels(of):
    codes = (np.sin(2 * of.numbers[:, 0]) + (of.codes[:, 0] == 1) > 0.2).astype(np.int64)
    return TrainingTargets(np.eye(2)[codes], codes)


def test_numpy_and_torch_agree():
    torch.manual_seed(0)
    given = cells()
    module = TableModule(3, given.sizes, 2, SETTINGS).eval()
    model = TableNetwork(
        np.sort(np.nan_to_num(given.numbers), axis=0).T[:, ::4], np.zeros(2, np.int32), (), np.zeros(2), True
    )
    values, missing = model.inputs(Cells(np.nan_to_num(given.numbers), given.codes, given.sizes))
    network = module.export()
    with torch.no_grad():
        expected = module(
            torch.as_tensor(values), torch.as_tensor(missing), torch.as_tensor(given.codes).long()
        )
    found = network.members(network.embed(values, missing, given.codes))
    assert np.abs(found - expected.numpy()).max() < 1e-4


@pytest.mark.parametrize("balance", ["none", "weights"])
def test_it_learns_labels_and_is_stored_as_arrays(balance):
    train, test = cells(), cells(seed=1)
    model = fit_network(train, labels(train), {**SETTINGS, "bags": 2, "balance": balance}, FitContext())
    assert len(model.networks) == 2
    right = (model.raw(test).argmax(axis=1) == labels(test).codes).mean()
    assert right > 0.75
    again = TableNetwork.from_arrays(model.arrays())
    assert np.array_equal(again.raw(test), model.raw(test))
    alone = np.vstack([model.raw(test.take(np.array([row]))) for row in range(20)])
    assert np.allclose(alone, model.raw(test)[:20], atol=1e-5)


def test_it_learns_numbers():
    train, test = cells(), cells(seed=1)
    model = fit_network(train, TrainingTargets(train.numbers[:, :1] * 0.9, None), SETTINGS, FitContext())
    assert np.square(model.raw(test) - test.numbers[:, :1] * 0.9).mean() < 0.1


def test_contributions_add_up_to_the_difference_from_a_usual_row():
    train = cells()
    model = fit_network(train, labels(train), SETTINGS, FitContext())
    part = train.take(np.arange(10))
    found = model.contributions(part)
    assert found.shape == (10, 5, 2)
    middle = model.quantiles[:, [31, 32]].mean(axis=1)
    usual = Cells(middle[None], model.usual[None], train.sizes)
    assert np.allclose(found.sum(axis=1), model.raw(part) - model.raw(usual), atol=0.05)


def test_one_label_and_empty_columns_are_no_error():
    given = Cells(np.full((30, 1), np.nan), np.zeros((30, 0), np.int32), ())
    codes = np.zeros(30, np.int64)
    model = fit_network(given, TrainingTargets(np.eye(2)[codes], codes), SETTINGS, FitContext())
    assert (model.raw(given).argmax(axis=1) == 0).all()
