"""The page of the tables benchmark, written from kept runs: a table a data set, and each target with what it came to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from leaderboard import header, row
from tabular_data import TABLES

HEAD = """# Tables

Written by `python benchmarks/tabular.py` from the runs in `tabular.jsonl`: one line a data set, split and contender. Stratified
splits, a quarter of the rows to test; all contenders train on the same rows. **Splits says how many of the five a row has**: rows of
different splits cannot be compared to the third digit, the section on targets compares only splits that both sides have. `fit s` is
of one fit on all training rows, from rows in memory to a model: ours includes the search, calibration and the choice of weights;
libraries are imported before. `rows/s` is of columns in memory, numbers as arrays, ours and the peers', after ten rows to warm up. `p50 ms`
is of one row at a time in process. Ours answers on one thread, peers on two. FLAML gets as long as our slowest fit of the split, ten
seconds at least. Ratios count, not seconds: a run that other work on the machine disturbed keeps its scores alone, so that times
are compared on fewer splits than scores."""
_NAMES = {"autogluon": "AutoGluon medium", "autogluon_best": "AutoGluon best, 300 s", "logistic": "logistic regression",
          "lightgbm": "LightGBM", "catboost": "CatBoost", "flaml": "FLAML"}  # fmt: skip
# Peers that fit one model: FLAML and AutoGluon choose or mix.
SINGLE = ("logistic", "lightgbm", "catboost")
Runs = Sequence[dict[str, Any]]


def page(runs: Runs) -> str:
    """Return the whole page."""
    titles = {case: TABLES[case]() for case in TABLES if any(one["case"] == case for one in runs)}
    parts = [HEAD, _targets(runs, {case: table.title for case, table in titles.items()})]
    for case, table in titles.items():
        own = [one for one in runs if one["case"] == case]
        about = f"{len(table.rows()):,} rows. {table.source}. {_when(own)}"
        parts.append(f"## {table.title}\n\n{about}\n\n{_table(own, bool(table.positive))}")
    return "\n\n".join(parts) + "\n"


def _when(runs: Runs) -> str:
    dates = sorted({one["date"] for one in runs})
    machine = sorted(
        {f"Python {one['python']}, {one['cores']} cores, {one['threads']} threads" for one in runs}
    )
    return f"{dates[0]}{'' if len(dates) == 1 else ' to ' + dates[-1]}; {'; '.join(machine)}."


def _table(runs: Runs, labels: bool) -> str:
    kinds = ("ROC-AUC", "log loss") if labels else ("R2", "RMSE")
    lines = [header("contender", "splits", *kinds, "fit s", "rows/s", "MB", "p50 ms")]
    for contender in dict.fromkeys(one["contender"] for one in sorted(runs, key=_order)):
        own = [one for one in runs if one["contender"] == contender]
        good = [one for one in own if "failed" not in one]
        if not good:
            lines.append(row(_name(contender), "0", f"failed: {own[0]['failed']}", "", "", "", "", ""))
            continue
        loss, timed = _mean(good, "loss"), [one for one in good if "fit_seconds" in one]
        lines.append(
            row(
                _name(contender), str(len(good)), f"{_mean(good, 'score'):.4f}",
                f"{loss:.4f}" if labels else f"{loss:,.0f}",
                f"{_mean(timed, 'fit_seconds'):,.1f}" if timed else "", f"{_mean(timed, 'rows_per_s'):,.0f}" if timed else "", f"{_mean(good, 'size_mb'):.2f}" if good[0]["size_mb"] else "",
                f"{_mean(timed, 'p50_ms'):.2f}" if timed and timed[0].get("p50_ms") is not None else "",
            )
        )  # fmt: skip
    return "\n".join(lines)


def _order(one: dict[str, Any]) -> int:
    order = ("linear_table", "boosted_trees", "stack", "explainable_boosting", "stack@4", *_NAMES)
    return order.index(one["contender"]) if one["contender"] in order else len(order)


def _name(contender: str) -> str:
    name, _, effort = contender.partition("@")
    return _NAMES.get(contender, f"rung {name}" + (f", effort {effort}" if effort else ""))


def _mean(runs: Iterable[dict[str, Any]], key: str) -> float:
    return float(np.mean([one[key] for one in runs]))


def _targets(runs: Runs, titles: dict[str, str]) -> str:
    """Return the section that holds our stack against the peers, on the splits that both have."""
    parts = [
        "## Against the targets",
        "`rung stack` at effort 2 against AutoGluon medium, on their common splits:",
    ]
    parts.append(_against(runs, titles, "stack", "autogluon"))
    best = _against(runs, titles, "stack@4", "autogluon_best")
    if best.count("\n") > 1:
        parts += ["`rung stack` at effort 4 against AutoGluon best_quality, 300 s each at most:", best]
    parts += ["Log loss of `rung stack` against the best of logistic regression, LightGBM and CatBoost:"]
    parts.append(_losses(runs, titles))
    return "\n\n".join(parts)


def _pairs(runs: Runs, case: str, ours: str, peer: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the runs of two contenders on the splits that both have."""
    own, other = (
        {
            one["split"]: one
            for one in runs
            if one["case"] == case and one["contender"] == name and "failed" not in one
        }
        for name in (ours, peer)
    )
    both = sorted(own.keys() & other.keys())
    return [own[s] for s in both], [other[s] for s in both]


def _against(runs: Runs, titles: dict[str, str], ours: str, peer: str) -> str:
    lines = [
        header(
            "table",
            "splits",
            "ROC-AUC, ours",
            "theirs",
            "difference",
            "fit time, share",
            "size, share",
            "rows/s, times",
        )
    ]
    means = []
    for case, title in titles.items():
        own, other = _pairs(runs, case, ours, peer)
        if not own or not TABLES[case]().positive:
            continue
        a, b = _mean(own, "score"), _mean(other, "score")
        means.append((a, b))
        shares = [_times(other, own, "fit_seconds"), _times(other, own, "size_mb")]
        shares = [f"1/{share}" if share else "" for share in shares] + [_times(own, other, "rows_per_s")]
        lines.append(row(title, str(len(own)), f"{a:.4f}", f"{b:.4f}", f"{a - b:+.4f}", *shares))
    if means:
        a, b = np.mean(means, axis=0)
        lines.append(row("mean of tables", "", f"{a:.4f}", f"{b:.4f}", f"{a - b:+.4f}", "", "", ""))
    return "\n".join(lines)


def _times(some: Runs, others: Runs, key: str) -> str:
    """Return how many times the others' mean is the first's, on the splits where both were measured; "" where none was:
    runs on a busy machine have no seconds."""
    both = [(a, b) for a, b in zip(some, others, strict=True) if key in a and key in b]
    if not both:
        return ""
    return f"{_mean((a for a, _ in both), key) / max(_mean((b for _, b in both), key), 1e-9):,.1f}"


def _losses(runs: Runs, titles: dict[str, str]) -> str:
    lines = [header("table", "splits", "ours", "best single peer", "which", "no worse")]
    for case in (c for c in titles if TABLES[c]().positive):
        found = []
        for peer in SINGLE:
            own, other = _pairs(runs, case, "stack", peer)
            if own:
                found.append((_mean(other, "loss"), _mean(own, "loss"), len(own), peer))
        if found:
            theirs, mine, splits, peer = min(found)
            verdict = "yes" if mine <= theirs else f"no, by {mine - theirs:.4f}"
            lines.append(row(titles[case], str(splits), f"{mine:.4f}", f"{theirs:.4f}", _name(peer), verdict))
    return "\n".join(lines)
