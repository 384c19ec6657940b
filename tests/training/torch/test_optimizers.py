"""Optimisers and schedules against torch's own values."""

import numpy as np
import pytest
import torch
from lines import Lines
from torch import nn

from rung.core.training_params import TrainingParams
from rung.training.torch.optimizers import Lion, make_optimizer, parameter_groups
from rung.training.torch.schedules import rate_factor

STEPS = 40


def descend(optimizer, parameter, steps=5):
    for _ in range(steps):
        optimizer.zero_grad()
        (torch.square(parameter - torch.arange(6.0).view(2, 3)) * 0.5).sum().backward()
        optimizer.step()
    return parameter.detach().clone()


@pytest.mark.parametrize(
    "name,reference",
    [
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.8, weight_decay=0.1)),
        ("adam", lambda p: torch.optim.Adam(p, lr=0.05, weight_decay=0.1)),
        ("adamw", lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.1)),
    ],
)
def test_steps_are_those_of_torch(name, reference):
    module, other = nn.Linear(3, 2, bias=False), nn.Parameter(torch.zeros(2, 3))
    nn.init.zeros_(module.weight)
    params = TrainingParams(optimizer=name, momentum=0.8, weight_decay=0.1)
    ours = descend(make_optimizer(module, params, 0.05), module.weight)
    assert torch.equal(ours, descend(reference([other]), other))


def test_lion_follows_its_paper():
    parameter = nn.Parameter(torch.zeros(2, 3))
    found = descend(Lion([parameter], lr=0.1, betas=(0.9, 0.99), weight_decay=0.2), parameter, steps=3)
    theta, momentum, target = np.zeros((2, 3)), np.zeros((2, 3)), np.arange(6.0).reshape(2, 3)
    for _ in range(3):
        gradient = theta - target
        direction = np.sign(0.9 * momentum + 0.1 * gradient)
        theta = theta - 0.1 * (direction + 0.2 * theta)
        momentum = 0.99 * momentum + 0.01 * gradient
    assert np.allclose(found.numpy(), theta, atol=1e-6)


def test_biases_norms_and_embeddings_do_not_decay_and_lower_layers_learn_slower():
    module = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    module.layer_of = {"0.": 0, "1.": 1, "2.": 1}
    groups = parameter_groups(module, TrainingParams(weight_decay=0.1, layer_decay=0.5), 1e-2)
    shapes = [([tuple(p.shape) for p in g["params"]], g["lr"], g["weight_decay"]) for g in groups]
    assert shapes == [
        ([(5, 4)], 1e-2 * 0.25, 0.0),
        ([(4,), (4,), (4,)], 1e-2 * 0.5, 0.0),
        ([(4, 4)], 1e-2 * 0.5, 0.1),
        ([(2,)], 1e-2, 0.0),
        ([(2, 4)], 1e-2, 0.1),
    ]


def torch_factors(make):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, found = make(optimizer), []
    for _ in range(STEPS + 1):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(found) <= STEPS:
            schedule.step()
    return found


@pytest.mark.parametrize(
    "name,warmup,make",
    [
        ("constant", 0.0, lambda o: torch.optim.lr_scheduler.ConstantLR(o, 1.0, STEPS)),
        ("linear", 0.0, lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.0, STEPS)),
        ("cosine", 0.0, lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS)),
    ],
)
def test_schedules_are_those_of_torch(name, warmup, make):
    ours = [rate_factor(name, warmup, step / STEPS) for step in range(STEPS + 1)]
    assert np.allclose(ours, torch_factors(make), atol=1e-9)


def test_one_cycle_is_that_of_torch():
    # torch counts from 0 to the last step and ends its first phase one step before its share of them.
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1.0, STEPS + 1, pct_start=(STEPS / 4 + 1) / (STEPS + 1)
    )
    theirs = []
    for _ in range(STEPS + 1):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(theirs) <= STEPS:
            schedule.step()
    ours = [rate_factor("one_cycle", 0.25, step / STEPS) for step in range(STEPS + 1)]
    assert np.allclose(ours, theirs, atol=1e-9)


def test_warmup_rises_to_one_and_joins_the_schedule():
    assert [round(rate_factor("linear", 0.5, p), 6) for p in (0.0, 0.25, 0.5, 0.75, 1.0)] == [
        0,
        0.5,
        1,
        0.5,
        0,
    ]
    assert len(parameter_groups(Lines().module, TrainingParams(), 1.0)) == 2
