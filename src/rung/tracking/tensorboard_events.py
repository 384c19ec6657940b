"""Write a build as TensorBoard event files: scores and costs per rung, and the learning curve."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rung.core.errors import MissingExtra
from rung.core.spec.source_names import expand_variables
from rung.tracking import facts
from rung.tracking.facts import StartedBuild


class TensorboardTracker:
    """Writes files below `<folder>/<run>/`: `ladder` (one step per rung), one per rung, and `learning_curve`
    (steps are rows).
    """

    def __init__(self, folder: str) -> None:
        if find_spec("tensorboardX") is None:
            raise MissingExtra("writing TensorBoard files", "track", "tensorboardX")
        self._root = Path(expand_variables(folder))
        self._folder = self._root
        self._writers: dict[str, Any] = {}

    def begin(self, build: StartedBuild) -> None:
        """Open the file of the ladder in the folder of this build."""
        self._folder = self._root / build.folder.name
        self._writer("ladder").add_text("product", _markdown_table(build.params()), 0)

    def trial(self, trial: Mapping[str, Any], place: int) -> None:
        """Write each value twice: as a point of the ladder, and under the rung's own name; training by epoch."""
        for name in ("ladder", str(trial["rung"])):
            writer = self._writer(name)
            for metric, value in facts.scores(trial).items():
                writer.add_scalar(f"score/{metric}", value, place)
            for measure, value in facts.measurements(trial).items():
                writer.add_scalar(f"cost/{measure}", value, place)
            writer.flush()
        for name, epoch, value in facts.training_points(trial):
            self._writer(str(trial["rung"])).add_scalar(f"training/{name}", value, epoch)

    def finish(self, build: StartedBuild) -> None:
        """Write the learning curve by training rows, and the claim as text."""
        report = build.report()
        metric, points = facts.learning_curve(report)
        for rows, score in points:
            self._writer("learning_curve").add_scalar(f"score/{metric}", score, rows)
        rungs = " < ".join(trial["rung"] for trial in report["trials"])
        self._writer("ladder").add_text("outcome", f"{facts.summary_text(report)}\n\nLadder: {rungs}", 0)

    def close(self, state: str) -> None:
        """Write what is still in memory and close the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, name: str) -> Any:
        if name not in self._writers:
            from tensorboardX import SummaryWriter

            # A resumed build writes its rungs again: purging from step 0 hides the values of earlier files in
            # this folder.
            self._writers[name] = SummaryWriter(str(self._folder / name), purge_step=0)
        return self._writers[name]


def _markdown_table(values: Mapping[str, str]) -> str:
    cells = "\n".join(f"| {key} | {value.replace('|', ' ')} |" for key, value in values.items())
    return f"| key | value |\n|---|---|\n{cells}"
