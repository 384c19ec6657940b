"""Measure which rows to label first: `python benchmarks/active.py [--cases ten,chinese] [--seeds 5] [--labels 400]`.

Each way of choosing labels the same number of rows of the same pool; the same classifier (scikit-learn's logistic
regression over the same vectors) then answers rows that nobody chose from. Peer in the same run: modAL's margin sampling
(`pip install modAL-python`), where it is installed; else the same rule written with scikit-learn. Writes
benchmarks/results/active.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from scipy.stats import t as student
from sets import TEN, Split, chinese_reviews, newsgroups
from sklearn.linear_model import LogisticRegression

from rung.annotation.featurizer import open_featurizer
from rung.annotation.learning_curve import (
    FORECAST_LABELS,
    NEGLIGIBLE_GAIN,
    TOLERANCE,
    GainForecast,
    forecast_gain,
    held_out_results,
    prediction_stability,
)
from rung.annotation.logistic_regression import fit_classifier
from rung.annotation.sampling import cluster_representatives, next_zone, uncertain_and_diverse

RESULTS = Path(__file__).parent / "results" / "active.md"
BATCH = 10
POINTS = (20, 40, 60, 80, 100, 150, 200, 300, 400)
RANDOM_SHARE, RANDOM_ZONE = 0.2, 0.3


def ten_newsgroups() -> Split:
    """Return ten newsgroups, official split."""
    whole = newsgroups()

    def of(texts: list[str], labels: list[str]) -> tuple[list[str], list[str]]:
        rows = [(t, y) for t, y in zip(texts, labels, strict=True) if y in TEN]
        return [t for t, _ in rows], [y for _, y in rows]

    train, test = of(whole.train_texts, whole.train_labels), of(whole.test_texts, whole.test_labels)
    return Split("Ten newsgroups (English), official split", whole.source, *train, *test)


CASES: dict[str, Callable[[], Split]] = {"ten": ten_newsgroups, "chinese": chinese_reviews}


@dataclass(frozen=True)
class World:
    """A pool to label and rows to answer, as vectors."""

    title: str
    source: str
    reader: str
    pool: np.ndarray
    truth: np.ndarray
    test: np.ndarray
    test_truth: np.ndarray
    labels: int


def load(case: str, most_pool: int, most_test: int) -> World:
    split = CASES[case]()
    draw = np.random.default_rng(0)
    take = np.sort(draw.permutation(len(split.train_texts))[:most_pool])
    ask = np.sort(draw.permutation(len(split.test_texts))[:most_test])
    texts = [split.train_texts[i] for i in take] + [split.test_texts[i] for i in ask]
    names = sorted(set(split.train_labels))
    codes = [names.index(split.train_labels[i]) for i in take] + [
        names.index(split.test_labels[i]) for i in ask
    ]
    reader = open_featurizer("auto", texts)
    x, y = reader.transform(texts), np.array(codes)
    n = len(take)
    return World(split.title, split.source, reader.name, x[:n], y[:n], x[n:], y[n:], len(names))


def score(world: World, rows: list[int]) -> float:
    if len(set(world.truth[rows])) < 2:
        return float((world.test_truth == world.truth[rows[0]]).mean())
    model = LogisticRegression(C=20.0, max_iter=300).fit(world.pool[rows], world.truth[rows])
    return float(model.score(world.test, world.test_truth))


def by_chance(world: World, most: int, seed: int) -> list[int]:
    return np.random.default_rng(seed).permutation(len(world.pool))[:most].tolist()


def ours(world: World, most: int, seed: int) -> list[int]:
    """Return rows in the order `rung label` would ask for them, random ones that train among them."""
    order = np.random.default_rng(seed).permutation(len(world.pool))
    edge = int(len(order) * RANDOM_ZONE)
    line, zone = order[:edge].tolist(), np.sort(order[edge:])
    queue = zone[cluster_representatives(world.pool[zone], max(20, 3 * world.labels), seed)].tolist()
    clusters, rows, given = len(queue), [], [0, 0, 0]
    while len(rows) < most:
        if given[2] >= clusters and not len(rows) % BATCH or not queue:
            classifier = fit_classifier(world.pool[rows], world.truth[rows], world.labels)
            open_ = np.setdiff1d(zone, rows)
            queue = open_[
                uncertain_and_diverse(
                    world.pool[open_],
                    classifier.predict_proba(world.pool[open_]),
                    np.arange(len(open_)),
                    BATCH * 3,
                )
            ].tolist()
        random = next_zone((given[0], given[1], given[2]), 1e-9, RANDOM_SHARE) == "random"
        rows.append(line.pop(0) if random else queue.pop(0))
        given[1 if random else 2] += 1
    return rows


def modal_margin(world: World, most: int, seed: int) -> list[int]:
    """Return rows in the order of modAL's margin sampling, in batches, from 20 random ones on."""
    from modAL.models import ActiveLearner
    from modAL.uncertainty import margin_sampling

    rows = by_chance(world, 20, seed)
    while len(rows) < most:
        # Made anew for each batch: its `teach` calls scikit-learn in a way that versions from 1.6 on refuse.
        model = LogisticRegression(C=20.0, max_iter=300)
        learner = ActiveLearner(model, margin_sampling, world.pool[rows], world.truth[rows])
        open_ = np.setdiff1d(np.arange(len(world.pool)), rows)
        rows += open_[learner.query(world.pool[open_], n_instances=BATCH)[0]].tolist()
    return rows


def plain_margin(world: World, most: int, seed: int) -> list[int]:
    """Return rows by the same rule, written with scikit-learn, where modAL is not installed."""
    rows = by_chance(world, 20, seed)
    while len(rows) < most:
        model = LogisticRegression(C=20.0, max_iter=300).fit(world.pool[rows], world.truth[rows])
        open_ = np.setdiff1d(np.arange(len(world.pool)), rows)
        likely = np.sort(model.predict_proba(world.pool[open_]), axis=1)
        rows += open_[np.argsort(likely[:, -1] - likely[:, -2])[:BATCH]].tolist()
    return rows


def stops_at(world: World, rows: list[int], seed: int) -> int | None:
    """Return at how many labels the rule says enough."""
    line = np.random.default_rng(seed).permutation(len(world.pool))[: int(len(world.pool) * RANDOM_ZONE)]
    for n in range(60, len(rows) + 1, 10):
        unlabelled = np.setdiff1d(line, rows[:n])[:2_000]
        found = prediction_stability(
            world.pool[rows[:n]], world.truth[rows[:n]], world.pool[unlabelled], world.labels, n // 10
        )
        if found is not None and found.is_sufficient:
            return n
    return None


def told_ahead(world: World, rows: list[int], seed: int) -> list[tuple[GainForecast, float | None]]:
    """Return what the page says at each tenth label of the next labels' worth, and, at each hundredth, what they brought."""
    line = np.random.default_rng(seed).permutation(len(world.pool))[: int(len(world.pool) * RANDOM_ZONE)]
    random = np.isin(rows, line)
    found = []
    for n in range(60, len(rows) + 1, 10):
        ahead = forecast_gain(
            held_out_results(world.pool[rows[:n]], world.truth[rows[:n]], random[:n], world.labels)
        )
        if ahead is not None:
            shown = n % 100 == 0 and n + FORECAST_LABELS <= len(rows)
            came = score(world, rows[: n + FORECAST_LABELS]) - score(world, rows[:n]) if shown else None
            found.append((ahead, came))
    return found


def peer() -> tuple[str, Callable[[World, int, int], list[int]]]:
    try:
        from importlib.metadata import version

        import modAL.models  # noqa: F401

        return f"modAL {version('modAL-python')} margin", modal_margin
    except ImportError:
        return "margin (scikit-learn)", plain_margin


def measure(world: World, seeds: int, most: int) -> tuple[list[str], dict[str, np.ndarray], list[str]]:
    """Return the lines of the table, scores [seeds, points] by way, and what the rule for stopping did."""
    name, theirs = peer()
    ways = {"rung label": ours, name: theirs, "random": by_chance}
    points = [p for p in POINTS if p <= most]
    scores = {way: np.zeros((seeds, len(points))) for way in ways}
    everything = score(world, list(range(len(world.pool))))
    stops, ahead = [], []
    for seed in range(seeds):
        for way, choose in ways.items():
            begun = time.monotonic()
            rows = choose(world, most, seed)
            scores[way][seed] = [score(world, rows[:p]) for p in points]
            print(
                f"  seed {seed} {way}: {scores[way][seed].round(3)} {time.monotonic() - begun:.0f} s",
                flush=True,
            )
            if way == "rung label":
                at = stops_at(world, rows, seed)
                stops.append((at, score(world, rows[:at]) if at else None, score(world, rows)))
                ahead.append((told_ahead(world, rows, seed), rows))
    lines = [
        f"| labels | {' | '.join(ways)} | rung minus random | rung minus {name} |",
        "|---|" + "---|" * (len(ways) + 2),
    ]
    for place, labels in enumerate(points):
        cells = [f"{scores[way][:, place].mean():.3f}" for way in ways]
        gaps = [_gap(scores["rung label"][:, place] - scores[way][:, place]) for way in ("random", name)]
        lines.append(f"| {labels} | {' | '.join(cells)} | {' | '.join(gaps)} |")
    area = {way: found.mean(axis=1) for way, found in scores.items()}
    cells = [f"{area[way].mean():.3f}" for way in ways]
    gaps = [_gap(area["rung label"] - area[way]) for way in ("random", name)]
    lines.append(f"| mean of the rows above | {' | '.join(cells)} | {' | '.join(gaps)} |")
    return (
        lines,
        scores,
        [
            f"All {len(world.pool):,} rows of the pool labelled: {everything:.3f}.",
            _stopped(stops, most),
            _ahead(world, ahead, most),
        ],
    )


def _ahead(
    world: World, ahead: list[tuple[list[tuple[GainForecast, float | None]], list[int]]], most: int
) -> str:
    """Return what was said of the next labels' worth against what they brought on the test rows."""
    lines = [f"\nSaid of the next {FORECAST_LABELS} labels, and what they brought on the test rows:\n"]
    lines += ["| labels | said, by seed | brought, by seed | intervals that hold it |", "|---|---|---|---|"]
    told = [(one, came) for found, _ in ahead for one, came in found if came is not None]
    for labels in sorted({one.labels for one, _ in told}):
        here = [(one, came) for one, came in told if one.labels == labels]
        said = ", ".join(f"{one.gain:+.3f} ({one.low:+.3f} to {one.high:+.3f})" for one, _ in here)
        brought = ", ".join(f"{came:+.3f}" for _, came in here)
        held = sum(one.low <= came <= one.high for one, came in here)
        lines.append(f"| {labels} | {said} | {brought} | {held} of {len(here)} |")
    stops = []
    for found, rows in ahead:
        at = next((one.labels for one, _ in found if one.is_negligible), None)
        stops.append((at, score(world, rows[:at]) if at else None, score(world, rows)))
    rule = f"hardly worth more (at most {NEGLIGIBLE_GAIN:.0%} expected, {TOLERANCE:.0%} at the upper end)"
    lines.append("\n" + _stopped(stops, most, f'The page\'s "{rule}"'))
    return "\n".join(lines)


def _gap(difference: np.ndarray) -> str:
    n = len(difference)
    # Few seeds: Student's t, not the normal.
    half = student.ppf(0.975, n - 1) * difference.std(ddof=1) / np.sqrt(n) if n > 1 else float("nan")
    return f"{difference.mean():+.3f} ± {half:.3f}"


def _stopped(stops: list[tuple[int | None, float | None, float]], most: int, rule: str = "") -> str:
    said = [(at, there, end) for at, there, end in stops if at is not None and there is not None]
    rule = rule or f"The rule for stopping (at most {TOLERANCE:.0%} of answers changed)"
    if not said:
        return f"{rule} did not say so within {most} labels on any of {len(stops)} seeds."
    at = ", ".join(str(stop[0]) for stop in said)
    left = [end - there for _, there, end in said]
    return (
        f"{rule} said so on {len(said)} of {len(stops)} seeds, at {at} labels; going on to {most} then changed the "
        f"score by {np.mean(left):+.3f} on average, {max(left, key=abs):+.3f} at most."
    )


def picture(scores: dict[str, np.ndarray], points: list[int]) -> str:
    """Return the curves as text: one line a way and number of labels."""
    low = min(found.mean(axis=0).min() for found in scores.values())
    high = max(found.mean(axis=0).max() for found in scores.values())
    lines = []
    for place, labels in enumerate(points):
        for way, found in scores.items():
            value = found[:, place].mean()
            bar = "█" * round(1 + 45 * (value - low) / (high - low))
            lines.append(f"{labels if way == 'rung label' else '':>5} {way:<24} {bar} {value:.3f}")
    return "```text\n" + "\n".join(lines) + "\n```"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default="ten,chinese")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--labels", type=int, default=400)
    parser.add_argument("--pool", type=int, default=4_000)
    parser.add_argument("--test", type=int, default=2_000)
    options = parser.parse_args()
    points = [p for p in POINTS if p <= options.labels]
    top = f"# Which rows to label first\n\nWritten by `python benchmarks/active.py --seeds {options.seeds}`.\n\n{_NOTE}"
    # Sections of cases that are not measured now stay.
    old = RESULTS.read_text(encoding="utf-8").strip().split("\n\n## ")[1:] if RESULTS.is_file() else []
    sections = {part.splitlines()[0]: f"## {part}" for part in old}
    for case in options.cases.split(","):
        world = load(case, options.pool, options.test)
        print(world.title, world.pool.shape, world.reader, flush=True)
        lines, scores, notes = measure(world, options.seeds, options.labels)
        head = f"## {world.title}\n\n{world.source} Pool of {len(world.pool):,} rows, {len(world.test):,} test rows, "
        head += f"{world.labels} labels, vectors of {world.reader}, {options.seeds} seeds.\n"
        sections[world.title] = "\n".join([head, *lines, "", *notes, "", picture(scores, points)])
        print("\n".join(lines + notes), flush=True)
    RESULTS.write_text("\n\n".join([top, *sections.values()]) + "\n", encoding="utf-8")


_NOTE = """Accuracy on test rows after so many labels that train, the mean of the seeds; a difference is paired by seed, with
the 95 % interval of its mean. All ways end in the same classifier (logistic regression, C = 20, over the same vectors), so
that the choice of rows alone differs. A fifth of what `rung label` asks for are random rows, which its scores need: that is
in its numbers. Rows that certify come on top and are random in all three ways."""


if __name__ == "__main__":
    main()
