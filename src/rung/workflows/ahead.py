"""Fit the folds of the next rungs while one is measured: what they leave is what their own trial would have made."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from rung.core.model import Rung
from rung.core.types import Examples
from rung.engines.choose import is_parallel
from rung.workflows.build_setup import BuildSetup
from rung.workflows.rung_fits import clear_scratch, fits, fold_names
from rung.workflows.trial import held_out_rows


class Ahead:
    """The fits ahead of a climb: of `budget.ahead` rungs, where the engine runs jobs at the same time.

    A fit depends on its rung and its rows alone, and a whole folder stands for it; so a trial is the same with fits ahead of
    it as without. Left out: rungs that charge, and those planned to take longer than the time that is left. Where a rung would be
    raced first none is fitted ahead, since races share the folders. Used as a context manager: at its end, fits that
    nobody needed are ended and deleted.
    """

    def __init__(
        self, setup: BuildSetup, rungs: Sequence[Rung], train: Examples, is_raced: Callable[[Rung], bool]
    ) -> None:
        self._setup, self._rungs, self._train = setup, rungs, train
        self._many = setup.product.budget.ahead if is_parallel(setup.engine) else 0
        if self._many and any(is_raced(rung) for rung in rungs):
            self._many = 0
        self._stop = threading.Event()
        self._going: dict[str, threading.Thread] = {}
        self._taken: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._going.values():
            thread.join()
        for rung in self._rungs:
            if rung.name in self._going and rung.name not in self._taken:
                clear_scratch(self._setup, rung)

    def measure_now(self, rung: Rung) -> None:
        """Wait for the fits ahead of this rung, and begin those of the rungs above it."""
        self._taken.add(rung.name)
        if rung.name in self._going:
            self._going[rung.name].join()
        place = self._rungs.index(rung) + 1
        for other in self._rungs[place : place + self._many]:
            if other.name not in self._going and self._may_fit(other):
                folds = len(held_out_rows(other, self._train).parts)
                self._setup.run.event("ahead", rung=other.name, fits=folds)
                self._going[other.name] = threading.Thread(target=self._fit, args=(other,), daemon=True)
                self._going[other.name].start()

    def _may_fit(self, rung: Rung) -> bool:
        is_free = not rung.planned.service_usd_per_1k
        return is_free and time.time() + rung.planned.fit_seconds <= self._setup.deadline

    def _fit(self, rung: Rung) -> None:
        folds = fold_names(held_out_rows(rung, self._train).parts)
        with suppress(Exception):  # Its trial meets the same error, and says it.
            for _ in fits(self._setup, rung, folds, stop=self._stop):
                pass
