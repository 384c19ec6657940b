"""The parameters, metrics, tags and artifacts of a build, as flat names and values for tracking servers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.files import read_json

# The files people open first. The bundle stays in the run folder; its manifest lists every file with its
# hash.
ARTIFACTS = ("report.html", "report.json", "product.yaml", "bundle/manifest.json", "bundle/card.md")
_MEASUREMENTS = (
    "throughput_per_s", "peak_memory_mb", "size_mb", "usd_per_1k", "planned_usd_per_1k", "wh_per_1k", "fit_seconds",
)  # fmt: skip


@dataclass(frozen=True)
class StartedBuild:
    """A build that has started: its product and its run folder, which contains everything else."""

    product: str
    folder: Path

    def params(self) -> dict[str, str]:
        """Return the spec by dotted key. Passwords were masked before the folder was written."""
        spec = read_json(self.folder / "product.yaml")
        spec["rules"] = len(spec.get("rules") or ())
        found = dict(_flatten("", spec))
        return found | {"fingerprint": str(read_json(self.folder / "run.json")["fingerprint"])}

    def trial(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return all facts of a rung: those in its folder and those of its event. event: its facts."""
        return {**read_json(self.folder / "trials" / str(event["rung"]) / "done.json"), **event}

    def report(self) -> dict[str, Any]:
        """Return the content of report.json."""
        found: dict[str, Any] = read_json(self.folder / "report.json")
        return found

    def artifacts(self) -> Iterator[tuple[Path, str]]:
        """Yield (file, artifact folder) for each artifact; "" for no folder."""
        for name in ARTIFACTS:
            path = self.folder / name
            if path.is_file():
                yield path, path.parent.name if "/" in name else ""


def scores(trial: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite scores of a rung by metric."""
    return {name: float(value) for name, value in trial["scores"].items() if _is_finite(value)}


def measurements(trial: Mapping[str, Any]) -> dict[str, float]:
    """Return latency (ms), throughput (rows/s), memory and size (MB), price (USD), energy (Wh) and fit time
    (s) of a rung.
    """
    found = {name: trial[name] for name in _MEASUREMENTS}
    found |= {f"latency_{name}_ms": value for name, value in trial["latency_ms"].items()}
    return {name: float(value) for name, value in found.items() if _is_finite(value)}


def trial_params(trial: Mapping[str, Any]) -> dict[str, str]:
    """Return the model family, the evaluation method, and the parameters that the fit chose."""
    chosen = dict(_flatten("chosen", trial["chosen"]))
    return {"model": trial["model"], "method": trial["method"], "version": str(trial["version"]), **chosen}


def training_points(trial: Mapping[str, Any]) -> list[tuple[str, int, float]]:
    """Return (`loss` or `score`, epoch from 1, value) of a trained network; no points of other rungs."""
    return [
        (name, epoch, float(value))
        for name, values in trial.get("training", {}).items()
        for epoch, value in enumerate(values, 1)
        if _is_finite(value)
    ]


def build_metrics(report: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of the build: rows, whether it cleared the bar, the certified bound, and those of
    the winner.
    """
    found: dict[str, float] = {key: report["data"][key] for key in ("rows", "train", "certification")}
    found["cleared"] = float(report["cleared"])
    if report["certificate"]:
        found["certified_bound"] = report["certificate"]["bound"]
    for trial in report["trials"]:
        if trial["rung"] == report["winner"]:
            found |= scores(trial) | measurements(trial)
    return found


def tags(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags by which a build is found."""
    return {
        "rung.version": str(report["rung_version"]),
        "rung.product": str(report["product"]),
        "rung.task": str(report["task"]),
        "rung.cleared": "true" if report["cleared"] else "false",
        "rung.winner": str(report["winner"] or ""),
    }


def summary_text(report: Mapping[str, Any]) -> str:
    """Return the claim of the certificate, or that there is none, with the advice."""
    if report["certificate"]:
        return str(report["certificate"]["claim"])
    return " ".join(["No certificate: nothing is claimed.", *report["advice"]])


def learning_curve(report: Mapping[str, Any]) -> tuple[str, list[tuple[int, float]]]:
    """Return the metric of the learning curve and its points (rows, score); no points where it was skipped."""
    found = report["study"].get("curve") or {}
    points = [(int(point["rows"]), float(point["score"])) for point in found.get("points", ())]
    return str(found.get("metric", "")), points


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _flatten(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield (dotted key, text) of nested values. A list of plain values becomes one text."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flatten(f"{prefix}.{key}" if prefix else str(key), inner)
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for index, item in enumerate(value):
            yield from _flatten(f"{prefix}.{index}", item)
    elif isinstance(value, list):
        yield prefix, ", ".join(map(str, value))
    else:
        yield prefix, str(value)
