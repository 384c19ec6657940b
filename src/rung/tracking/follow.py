"""Listen to the events of a build and send them to trackers.

A tracker that fails is reported and never stops the build.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from rung.core.errors import RungError, did_you_mean
from rung.core.run import Listener
from rung.core.spec.source_names import is_address, masked, without_source_secrets
from rung.tracking.facts import StartedBuild
from rung.tracking.mlflow_runs import MlflowTracker
from rung.tracking.tensorboard_events import TensorboardTracker


class Tracker(Protocol):
    """A tracking backend. A repeated call with the same values changes nothing."""

    def begin(self, build: StartedBuild) -> None:
        """Open the run of this build."""

    def trial(self, trial: Mapping[str, Any], place: int) -> None:
        """Write a trial. place: of its rung on the ladder, 0 for the cheapest."""

    def finish(self, build: StartedBuild) -> None:
        """Write the content of report.json and the artifacts."""

    def close(self, state: str) -> None:
        """End the run. state: done, failed or interrupted."""


TRACKERS: Mapping[str, Callable[[str], Tracker]] = {
    "mlflow": MlflowTracker,
    "tensorboard": TensorboardTracker,
}


class TrackingListener:
    """A listener for a build's events that forwards them to `listener` and to every tracker.

    where: `mlflow:URI` or `tensorboard:DIR`. Raises RungError for an invalid address and MissingExtra for a
    missing package, both before anything is built. Later failures are reported to the listener as the event
    `tracking` (where, problem, state: failed, lost or done), and retried when the build is done. Without a
    listener, what is lost even then is a RuntimeWarning.
    """

    def __init__(self, where: Sequence[str], listener: Listener | None = None) -> None:
        self._listener = listener
        self._trackers = [_FaultTolerantTracker(address, self._notify) for address in dict.fromkeys(where)]
        self._build: StartedBuild | None = None
        self._trials: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        mistake = kind is None or issubclass(kind, Exception)
        state = "done" if kind is None else "failed" if mistake else "interrupted"
        for tracker in self._trackers:
            tracker.close(state)

    def __call__(self, kind: str, facts: dict[str, Any]) -> None:
        """Forward an event to the listener and to the trackers."""
        if self._listener:
            self._listener(kind, facts)
        if not self._trackers:
            return
        if kind == "run":
            self._build = StartedBuild(facts["product"], Path(facts["folder"]))
            for tracker in self._trackers:
                tracker.begin(self._build)
        elif kind == "trial" and self._build:
            self._trials.append(self._build.trial(facts))
            for tracker in self._trackers:
                tracker.trial(self._trials[-1], len(self._trials) - 1)
        elif kind == "done" and self._build:
            for tracker in self._trackers:
                tracker.finish(self._build, self._trials)

    def _notify(self, where: str, state: str, problem: str) -> None:
        if self._listener:
            self._listener("tracking", {"where": where, "state": state, "problem": problem})
        elif state == "lost":
            folder = self._build.folder if self._build else ""
            again = f"To send it again: rung.build(..., run={str(folder)!r}, track=[...])."
            warnings.warn(f"not written to {where}: {problem} The build is whole. {again}", RuntimeWarning, 2)


class _FaultTolerantTracker:
    """A tracker whose failures are reported once and retried at the end; they never reach the build."""

    def __init__(self, where: str, tell: Callable[[str, str, str], None]) -> None:
        kind, _, self._address = where.partition(":")
        if kind not in TRACKERS or not self._address:
            fix = "Write mlflow:URI (such as mlflow:sqlite:///mlflow.db) or tensorboard:DIR."
            if kind not in TRACKERS and self._address:
                fix = f"{did_you_mean(kind, TRACKERS)} {fix}"
            # The address may contain a password.
            shown = masked(where) if is_address(where) else f"{kind}:{masked(self._address)}"
            raise RungError(f"'{shown.rstrip(':')}' is no place to track a build", "--track", fix)
        self.shown = f"{kind}:{masked(self._address)}"
        self._tell = tell
        self._tracker = TRACKERS[kind](self._address)
        self._behind = False

    def begin(self, build: StartedBuild) -> None:
        self._behind = not self._try(lambda: self._tracker.begin(build))

    def trial(self, trial: Mapping[str, Any], place: int) -> None:
        if not self._behind:
            self._behind = not self._try(lambda: self._tracker.trial(trial, place))

    def finish(self, build: StartedBuild, trials: Sequence[Mapping[str, Any]]) -> None:
        """Write what is missing (everything if an earlier call failed), and report whether it succeeded."""

        def write() -> None:
            if self._behind:
                self._tracker.begin(build)
                for place, trial in enumerate(trials):
                    self._tracker.trial(trial, place)
            self._tracker.finish(build)

        if self._try(write, "lost"):
            self._behind = False
            self._tell(self.shown, "done", "")
        else:
            self._behind = True

    def close(self, state: str) -> None:
        """End the run. A tracker that is behind was reported already."""
        self._try(
            lambda: self._tracker.close("failed" if self._behind else state), "" if self._behind else "lost"
        )

    def _try(self, call: Callable[[], None], state: str = "failed") -> bool:
        """Return whether a call succeeded.

        Errors of a client or its network are caught. state: to report the error as, "" for not.
        """
        try:
            call()
        except Exception as error:
            if state:
                self._tell(self.shown, state, self._error_text(error))
            return False
        return True

    def _error_text(self, error: BaseException) -> str:
        """Return an error as one line without secrets.

        The messages of clients for network errors are pages long.
        """
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, OSError) and re.match(r"https?://", masked(self._address)):
                return "the server cannot be reached."
            cause = cause.__cause__ or cause.__context__
        line = next(filter(str.strip, str(error).splitlines()), type(error).__name__)
        return without_source_secrets(line[:300].rstrip(".") + ".", self._address)
