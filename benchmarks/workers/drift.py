"""Run river's detectors and Evidently's tests on the streams of benchmarks/drift.py: `python drift.py IN.npz OUT.json`.

Each is run once for all its thresholds where it says how close it is, else once a threshold; the threshold is the most
sensitive one at which at most 5 % of the streams called `tune` alarm.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from evidently.legacy.calculations.stattests import chi_stat_test, ks_stat_test
from river import drift

ALARMS, WINDOW = 0.05, 100
Firsts = dict[str, list[float]]


def river(
    make: Callable[[float], object], levels: list[float], warm: np.ndarray, streams: dict[str, list]
) -> Firsts:
    """Return first alarms at the most sensitive level that is quiet enough; levels: the most sensitive first."""

    def run(stream: np.ndarray, level: float) -> float:
        detectors = [make(level) for _ in range(stream.shape[1])]
        for row in warm:
            for detector, value in zip(detectors, row, strict=True):
                detector.update(value)
        for nth, row in enumerate(stream):
            for detector, value in zip(detectors, row, strict=True):
                detector.update(value)
                if detector.drift_detected:
                    return nth + 1.0
        return math.inf

    for level in levels:
        tune = [run(s, level) for s in streams["tune"]]
        if np.mean(np.isfinite(tune)) <= ALARMS:
            break
    print(type(make(level)).__name__, level, flush=True)
    return {name: [run(s, level) for s in of] for name, of in streams.items()}


def tune(curves: dict[str, list[np.ndarray]], ends: int = 1) -> Firsts:
    """Return first alarms of curves that alarm when they exceed a level; each step stands for `ends` rows."""
    tops = np.sort([curve.max() for curve in curves["tune"]])
    level = tops[-1 - int(ALARMS * len(tops))]

    def first(curve: np.ndarray) -> float:
        over = np.flatnonzero(curve > level)
        return float((over[0] + 1) * ends) if len(over) else math.inf

    return {name: [first(curve) for curve in of] for name, of in curves.items()}


def kswin(warm: np.ndarray, stream: np.ndarray) -> np.ndarray:
    """Return -log p of the least p-value of two detectors at each row; no threshold is ever reached.

    Sureness and distance alone: a value takes it nearly a millisecond, a hundred times what the others take.
    """
    found = np.zeros(len(stream))
    for column in (0, 3):
        detector = drift.KSWIN(alpha=1e-300, window_size=100, stat_size=30, seed=0)
        for value in warm[-100:, column]:
            detector.update(value)
        for nth, value in enumerate(stream[:, column]):
            detector.update(value)
            found[nth] = max(found[nth], -math.log(max(detector.p_value, 1e-299)))
    return found


def evidently(held: pd.DataFrame, stream: pd.DataFrame) -> np.ndarray:
    """Return -log of the least p-value of each window: the tests of its drift preset, called without its report."""
    found = []
    for begin in range(0, len(stream) - WINDOW + 1, WINDOW):
        window = stream.iloc[begin : begin + WINDOW]
        values = [ks_stat_test.func(held[c], window[c], "num", 0.05)[0] for c in held if c != "label"]
        values.append(chi_stat_test.func(held["label"], window["label"], "cat", 0.05)[0])
        found.append(-math.log(max(min(values), 1e-299)))
    return np.array(found)


def main() -> None:
    given = np.load(sys.argv[1])
    held, numbers, labels = given["reference"], given["numbers"], given["labels"]
    centre, spread = numbers[held].mean(axis=0), numbers[held].std(axis=0) + 1e-12
    numbers = (numbers - centre) / spread
    rows: dict[str, list[np.ndarray]] = {}
    for name in given.files:
        if "-" in name:
            rows.setdefault(name.split("-")[0], []).append(given[name])
    streams = {name: [numbers[s] for s in of] for name, of in rows.items()}
    warm = numbers[held]
    deltas = [10.0**-k for k in range(1, 40, 2)]
    found = {
        "river ADWIN": river(lambda d: drift.ADWIN(delta=d), deltas, warm, streams),
        "river Page-Hinkley": river(
            lambda t: drift.PageHinkley(threshold=t, min_instances=30),
            [10 * 1.3**k for k in range(20)],
            warm,
            streams,
        ),
        "river KSWIN": tune({name: [kswin(warm, s) for s in of] for name, of in streams.items()}),
    }
    frame = pd.DataFrame(numbers, columns=["sure", "length", "rarity", "distance"]).assign(label=labels)
    known = frame.iloc[held].reset_index(drop=True)
    windows = {name: [evidently(known, frame.iloc[s]) for s in of] for name, of in rows.items()}
    found["Evidently, windows of 100"] = tune(windows, WINDOW)
    said = {
        n: {k: [None if math.isinf(x) else x for x in v] for k, v in of.items()} for n, of in found.items()
    }
    Path(sys.argv[2]).write_text(json.dumps(said))


if __name__ == "__main__":
    main()
