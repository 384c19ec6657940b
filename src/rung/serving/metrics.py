"""Counters, gauges and histograms in the Prometheus text format 0.0.4."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
DURATION_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
LabelValues = tuple[str, ...]


class Counter:
    """A monotonic count per combination of label values."""

    kind = "counter"

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:
        self.name, self.help, self.labels = name, help, tuple(labels)
        self._lock = threading.Lock()
        self._values: dict[LabelValues, float] = {}

    def add(self, *values: str, amount: float = 1.0) -> None:
        """Add to the count of these label values. Values must come from a small fixed set."""
        with self._lock:
            self._values[values] = self._values.get(values, 0.0) + amount

    def value(self, *values: str) -> float:
        """Return the count of these label values."""
        return self._values.get(values, 0.0)

    def lines(self) -> list[str]:
        """Return the samples as text."""
        with self._lock:
            found = sorted(self._values.items())
        return [f"{self.name}{_format_labels(self.labels, values)} {count:g}" for values, count in found]


class Gauge:
    """A value read at scrape time."""

    kind = "gauge"

    def __init__(self, name: str, help: str, read: Callable[[], float]) -> None:
        self.name, self.help, self._read = name, help, read

    def lines(self) -> list[str]:
        """Return the sample as text."""
        return [f"{self.name} {self._read():g}"]


class Histogram:
    """A histogram of durations in seconds."""

    kind = "histogram"

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:
        self.name, self.help, self.labels = name, help, tuple(labels)
        self._lock = threading.Lock()
        self._counts: dict[LabelValues, list[int]] = {}
        self._sums: dict[LabelValues, float] = {}

    def observe(self, seconds: float, *values: str) -> None:
        """Record one duration."""
        with self._lock:
            counts = self._counts.setdefault(values, [0] * (len(DURATION_BUCKETS_S) + 1))
            counts[bisect_left(DURATION_BUCKETS_S, seconds)] += 1
            self._sums[values] = self._sums.get(values, 0.0) + seconds

    def lines(self) -> list[str]:
        """Return the samples as text, with cumulative buckets."""
        with self._lock:
            found = [
                (values, list(counts), self._sums[values]) for values, counts in sorted(self._counts.items())
            ]
        lines = []
        for values, counts, total in found:
            so_far = 0
            for bound, count in zip((*map(str, DURATION_BUCKETS_S), "+Inf"), counts, strict=True):
                so_far += count
                labels = _format_labels((*self.labels, "le"), (*values, bound))
                lines.append(f"{self.name}_bucket{labels} {so_far}")
            lines.append(f"{self.name}_sum{_format_labels(self.labels, values)} {total:.6f}")
            lines.append(f"{self.name}_count{_format_labels(self.labels, values)} {so_far}")
        return lines


class Metrics:
    """The metrics of a server. Labels are endpoints, models and statuses, never values chosen by a caller."""

    def __init__(self) -> None:
        self.requests = Counter(
            "rung_requests_total", "Requests by endpoint and status.", ("endpoint", "status")
        )
        self.seconds = Histogram("rung_request_seconds", "Request duration.", ("endpoint",))
        self.predictions = Counter("rung_predictions_total", "Rows predicted.", ("model", "version"))
        self.cached = Counter(
            "rung_cached_answers_total",
            "Rows answered from the cache of answers.",
            ("model", "version"),
        )
        self.batches = Counter("rung_batches_total", "Calls of the model.", ("model", "version"))
        self.predict_seconds = Histogram("rung_predict_seconds", "Model time per call.", ("model", "version"))
        self.streams = Counter(
            "rung_streams_total", "Streamed answers by outcome.", ("model", "version", "outcome")
        )
        self.media_not_kept = Counter(
            "rung_media_not_kept_total", "Media too large for the journal, kept by hash alone.", ("model",)
        )
        self.feedback = Counter("rung_feedback_total", "Feedback received.", ("source",))
        self.refused = Counter("rung_refused_total", "Requests refused.", ("reason",))
        self.reloads = Counter("rung_reloads_total", "Model reloads by outcome.", ("model", "outcome"))
        self.shadow_rows = Counter(
            "rung_shadow_rows_total",
            "Rows predicted by a challenger in shadow.",
            ("model", "version", "outcome"),
        )
        self.shadow_seconds = Histogram(
            "rung_shadow_seconds", "CPU time of a request in shadow.", ("model", "version")
        )
        self.shadow_skipped = Counter(
            "rung_shadow_skipped_total",
            "Requests skipped by a challenger in shadow because its queue was full.",
            ("model", "version"),
        )
        self.gauges: list[Gauge] = []

    def text(self) -> str:
        """Return all metrics in the text format."""
        parts: list[Counter | Gauge | Histogram] = [
            self.requests, self.seconds, self.predictions, self.cached, self.batches, self.predict_seconds, self.streams, self.media_not_kept, self.feedback, self.refused,
            self.reloads, self.shadow_rows, self.shadow_seconds, self.shadow_skipped, *self.gauges,
        ]  # fmt: skip
        lines = []
        for part in parts:
            lines += [f"# HELP {part.name} {part.help}", f"# TYPE {part.name} {part.kind}", *part.lines()]
        return "\n".join(lines) + "\n"


def _format_labels(names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
