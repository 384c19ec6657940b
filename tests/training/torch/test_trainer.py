"""The training loop: resuming, early stopping, memory, divergence, several processes."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lines import Lines, weights

from rung.core.errors import FitCancelled, RungError
from rung.core.model import FitContext
from rung.core.training_params import TrainingParams
from rung.training.torch.parallel import World
from rung.training.torch.rate_range import find_learning_rate, learning_rate_range
from rung.training.torch.trainer import train

PARAMS = TrainingParams(epochs=6, batch_rows=8, learning_rate=1e-2, patience=0, checkpoint_seconds=0.0)


class Recorder:
    """A channel that keeps reports, and cancels at a step."""

    def __init__(self, cancel_at=None):
        self.reports, self.cancel_at = [], cancel_at

    def report(self, step, total, metrics):
        self.reports.append((step, total, dict(metrics)))

    def cancelled(self):
        return self.cancel_at is not None and len(self.reports) >= self.cancel_at


def test_the_loss_falls_and_progress_is_reported():
    channel, learner = Recorder(), Lines()
    history = train(learner, PARAMS, FitContext(channel=channel))
    assert history.losses[-1] < 0.3 * history.losses[0]
    assert len(history.losses) == len(channel.reports) == 6 * 6
    step, total, metrics = channel.reports[-1]
    assert (step, total) == (6 * 48, 6 * 48)
    assert {"loss", "learning_rate", "rows_per_s", "seconds_left"} <= set(metrics)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "lion"])
@pytest.mark.parametrize("stopped_at", [1, 7, 12, 35])
def test_a_stopped_training_goes_on_bit_for_bit(tmp_path, optimizer, stopped_at):
    params = replace(PARAMS, optimizer=optimizer, ema=0.9, learning_rate=1e-3)
    whole, resumed = Lines(dropout=0.3, scored=True), Lines(dropout=0.3, scored=True)
    expected = train(whole, params, FitContext(scratch=tmp_path / "whole"))
    context = FitContext(scratch=tmp_path / "stopped", channel=Recorder(cancel_at=stopped_at))
    with pytest.raises(FitCancelled):
        train(resumed, params, context)
    again = Lines(dropout=0.3, scored=True)
    channel = Recorder()
    found = train(again, params, replace(context, channel=channel))
    assert found == expected
    assert len(channel.reports) == 36 - stopped_at
    assert torch.equal(weights(again), weights(whole))


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, {here!r})
from lines import Lines, weights
from test_trainer import PARAMS
from rung.core.model import FitContext
from rung.training.torch.trainer import train

class Slow(Lines):
    def loss(self, rows):
        time.sleep(0.05)
        return super().loss(rows)

train(Slow(dropout=0.3), PARAMS, FitContext(scratch=Path({scratch!r})))
"""


def test_a_killed_training_goes_on_bit_for_bit(tmp_path):
    script = textwrap.dedent(KILLED).format(here=str(Path(__file__).parent), scratch=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", script], env=os.environ)
    checkpoint, deadline = tmp_path / "training.safetensors", time.monotonic() + 60
    while not checkpoint.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoint.is_file()
    channel, resumed, whole = Recorder(), Lines(dropout=0.3), Lines(dropout=0.3)
    found = train(resumed, PARAMS, FitContext(scratch=tmp_path, channel=channel))
    assert len(channel.reports) < 36
    assert found == train(whole, PARAMS, FitContext())
    assert torch.equal(weights(resumed), weights(whole))


def test_checkpoints_of_another_training_or_half_written_ones_are_not_used(tmp_path):
    train(Lines(), PARAMS, FitContext(scratch=tmp_path))
    channel = Recorder()
    train(Lines(), replace(PARAMS, epochs=3), FitContext(scratch=tmp_path, channel=channel))
    assert len(channel.reports) == 18
    file = tmp_path / "training.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    channel = Recorder()
    train(Lines(), replace(PARAMS, epochs=3), FitContext(scratch=tmp_path, channel=channel))
    assert len(channel.reports) == 18


def test_early_stopping_restores_the_best_weights():
    class Worsening(Lines):
        def __init__(self):
            super().__init__()
            self.kept = []

        def score(self):
            self.kept.append(weights(self).clone())
            return -abs(len(self.kept) - 2.0)

    learner = Worsening()
    history = train(learner, replace(PARAMS, epochs=20, patience=3), FitContext())
    assert history.best_epoch == 2 and history.epoch == 5 and history.stopped_early
    assert torch.equal(weights(learner), learner.kept[1])


def test_accumulated_and_halved_batches_give_the_steps_of_a_large_batch():
    large, small, halved = Lines(), Lines(), Lines(limit=3)
    one = replace(PARAMS, batch_rows=16)
    train(large, replace(one, batch_rows=16), FitContext())
    train(halved, one, FitContext())
    assert max(halved.asked) <= 3
    assert torch.allclose(weights(large), weights(halved), atol=1e-5)
    # 48 rows in accumulated halves: the same number of steps of sixteen rows each.
    history = train(small, replace(PARAMS, batch_rows=8, accumulate=2), FitContext())
    assert len(history.losses) == 6 * 3


def test_a_row_that_does_not_fit_into_memory_says_so():
    with pytest.raises(RungError, match="does not fit into memory"):
        train(Lines(limit=0), PARAMS, FitContext())


def test_divergence_says_what_to_change():
    with pytest.raises(RungError) as caught:
        train(Lines(scale=float("nan")), PARAMS, FitContext())
    assert "diverged" in caught.value.problem and "learning_rate (now 0.01)" in caught.value.fix


def test_averaged_weights_are_those_returned():
    plain, averaged = Lines(), Lines()
    train(plain, PARAMS, FitContext())
    train(averaged, replace(PARAMS, ema=0.99), FitContext())
    assert not torch.equal(weights(plain), weights(averaged))


def test_two_processes_give_the_result_of_one():
    alone, together = Lines(), Lines()
    params = replace(PARAMS, epochs=3)
    one = train(alone, params, FitContext())
    two = train(together, replace(params, processes=2), FitContext(threads=2))
    assert torch.allclose(weights(alone), weights(together), rtol=0, atol=1e-6)
    assert two.losses == pytest.approx(one.losses, abs=1e-6)


class Mortal(Lines):
    """Ends its second process by force at the ninth step, as often as told."""

    def __init__(self, folder, times):
        super().__init__()
        self.folder, self.times, self.steps = folder, times, 0

    def loss(self, rows):
        self.steps += 1
        if World.current().rank == 1 and self.steps == 9 and len(list(self.folder.iterdir())) < self.times:
            (self.folder / f"{time.time_ns()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().loss(rows)


@pytest.mark.slow
def test_a_lost_process_begins_again_at_the_checkpoint(tmp_path):
    params = replace(PARAMS, epochs=3)
    (tmp_path / "deaths").mkdir()
    alone, mortal = Lines(), Mortal(tmp_path / "deaths", 1)
    one = train(alone, params, FitContext())
    context = FitContext(threads=2, scratch=tmp_path / "scratch")
    two = train(mortal, replace(params, processes=2), context)
    assert len(list((tmp_path / "deaths").iterdir())) == 1
    assert torch.allclose(weights(alone), weights(mortal), rtol=0, atol=1e-6)
    assert two.losses == pytest.approx(one.losses, abs=1e-6) and len(two.losses) == 3 * 6
    (tmp_path / "often").mkdir()
    with pytest.raises(RungError, match="a training process failed") as caught:
        train(Mortal(tmp_path / "often", 9), replace(params, processes=2), FitContext(threads=2))
    assert "processes: 1" in caught.value.fix and len(list((tmp_path / "often").iterdir())) == 3


def test_the_range_test_leaves_the_module_and_finds_a_rate():
    learner = Lines(rows=256)
    before = weights(learner).clone()
    tested = learning_rate_range(learner, PARAMS, 0)
    assert torch.equal(before, weights(learner))
    assert [rate for rate, _ in tested] == sorted(rate for rate, _ in tested)
    assert 1e-4 < find_learning_rate(learner, PARAMS, 0) < 1.0
    history = train(learner, replace(PARAMS, learning_rate=0.0), FitContext())
    assert history.losses[-1] < history.losses[0]


def test_half_precision_trains_on_a_cpu_too():
    history = train(Lines(), replace(PARAMS, precision="bf16"), FitContext())
    assert history.losses[-1] < history.losses[0]


@pytest.mark.parametrize(
    "name,value", [("epochs", 0), ("warmup", 1.0), ("learning_rate", -1.0), ("ema", 1.0)]
)
def test_parameters_out_of_range_are_refused(name, value):
    with pytest.raises(RungError, match=name):
        replace(PARAMS, **{name: value})
