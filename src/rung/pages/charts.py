"""Charts as inline SVG, with title and description for screen readers and colours from the style sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from rung.core.messages import significant

_WIDTH, _HEIGHT = 460, 300
# A bin of fewer rows is drawn small and grey, because its position may be due to chance.
FEW_ROWS = 10
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 14, 46


@dataclass(frozen=True)
class ChartLabels:
    """The texts of a chart: title, description and the names of its axes."""

    title: str
    description: str
    x: str
    y: str


@dataclass(frozen=True)
class _Scale:
    """Maps values to pixels. log: on a logarithmic axis."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return round(self.begin + (at - low) / ((high - low) or 1.0) * (self.end - self.begin), 1)


def pareto_chart(
    points: Sequence[Mapping[str, Any]],
    labels: ChartLabels,
    bar: float | None,
    higher: bool,
    unit: str = "${}",
) -> str:
    """Return a scatter plot of score against price, on a logarithmic axis, with the Pareto front as a line.

    points: name, price, score, low and high of the score, won, proven (certified), floor. bar: the required level,
    drawn dashed. unit: of the numbers on the axis, "{} MB" where what stands for the price is a size.
    """
    prices = [max(p["price"], 1e-12) for p in points]
    x = _Scale(10 ** math.floor(math.log10(min(prices))), 10 ** (math.floor(math.log10(max(prices))) + 1),
               _LEFT, _WIDTH - _RIGHT, log=True)  # fmt: skip
    # The floor does not set the scale: if it lies far below, it is drawn at the lower edge.
    shown = [p for p in points if not p["floor"]] or points
    y = _score_scale([v for p in shown for v in (p["low"], p["high"])] + ([] if bar is None else [bar]))
    parts = [_axes(x, y, labels, _decade_ticks(x), unit)]
    if bar is not None:
        parts.append(_line("bar", _LEFT, y(bar), _WIDTH - _RIGHT, y(bar)))
    places = [(x(max(p["price"], 1e-12)), y(min(max(p["score"], y.low), y.high))) for p in points]
    best = _pareto_front(shown, higher)
    if len(best) > 1:
        path = " ".join("{},{}".format(*places[points.index(p)]) for p in best)
        parts.append(f'<polyline class="front" points="{path}"/>')
    taken = [(at - 7, top - 7, at + 7, top + 7) for at, top in places]
    # Names must not cover the lines of intervals either.
    for p, (at, _) in zip(points, places, strict=True):
        if y.low <= p["score"] <= y.high:
            taken.append((at - 2, y(p["high"]), at + 2, y(p["low"])))
    for p, (at, top) in sorted(zip(points, places, strict=True), key=lambda item: not item[0]["won"]):
        inside = y.low <= p["score"] <= y.high
        if inside:
            parts.append(_line("span", at, y(p["low"]), at, y(p["high"])))
        kind = (
            ("won" if p.get("proven", True) else "unproven")
            if p["won"]
            else ""
            if p in best and inside
            else "beaten"
        )
        parts.append(f'<circle class="dot {kind}" cx="{at}" cy="{top}" r="{6.5 if p["won"] else 5}"/>')
        name = p["name"] if inside else f"{p['name']} {'↓' if p['score'] < y.low else '↑'} {p['score']:.2f}"
        parts.append(_point_label(name, at, top, taken, strong=p["won"]))
    return _svg(labels, "".join(parts))


def _pareto_front(points: Sequence[Mapping[str, Any]], higher: bool) -> list[Mapping[str, Any]]:
    """Return the Pareto front, cheapest first."""
    sign = 1 if higher else -1
    found: list[Mapping[str, Any]] = []
    for point in sorted(points, key=lambda p: (p["price"], -sign * p["score"])):
        if not found or sign * point["score"] > sign * found[-1]["score"]:
            found.append(point)
    return found


def _point_label(
    name: str, at: float, top: float, taken: list[tuple[float, float, float, float]], strong: bool
) -> str:
    """Return a point's name at the nearest free place, and add that place to `taken`."""
    shown = name if len(name) <= 24 else name[:23] + "…"
    # Characters of Chinese are as wide as they are high.
    wide = sum(13.5 if char >= "\u2e80" else 7.3 for char in shown) + (6 if strong else 0)
    places = [
        (left, top + down)
        for down in (-11, 21, 4, -26, 36, -42, 52, 68)
        for left in (at - wide / 2, at + 10, at - 10 - wide)
    ]

    def hidden(place: tuple[float, float]) -> float:
        left, base = place
        outside = left < _LEFT or left + wide > _WIDTH or base < 12 or base > _HEIGHT - _BOTTOM - 3
        return outside * 10 + sum(
            left < east and left + wide > west and base - 11 < south and base + 3 > north
            for west, north, east, south in taken
        )

    left, base = min(places, key=hidden)
    taken.append((left, base - 11, left + wide, base + 3))
    return f'<text class="{"strong" if strong else ""}" x="{left:.1f}" y="{base:.1f}">{escape(shown)}</text>'


def line_chart(points: Sequence[tuple[float, float]], labels: ChartLabels, bar: float | None) -> str:
    """Return points (rows or a share, value) joined by a line, such as a learning curve.

    bar: the required level, drawn dashed.
    """
    rows = [x for x, _ in points]
    x = _Scale(0, _round_up(max(rows)), _LEFT, _WIDTH - _RIGHT)
    y = _score_scale([v for _, v in points] + ([] if bar is None else [bar]))
    ticks = _round_ticks(0, x.high, 4)
    named = [(v, f"{v * 100:.0f}%" if x.high <= 1 else name) for v, name in _named(ticks)]
    parts = [_axes(x, y, labels, named)]
    if bar is not None:
        parts.append(_line("bar", _LEFT, y(bar), _WIDTH - _RIGHT, y(bar)))
    parts.append('<polyline class="line" points="' + " ".join(f"{x(a)},{y(b)}" for a, b in points) + '"/>')
    parts += [f'<circle class="dot" cx="{x(a)}" cy="{y(b)}" r="5"/>' for a, b in points]
    return _svg(labels, "".join(parts))


def reliability_diagram(bins: Sequence[Mapping[str, Any]], labels: ChartLabels) -> str:
    """Return accuracy against confidence per bin, with bars for the number of rows."""
    x, y = _Scale(0, 1, _LEFT, _WIDTH - _RIGHT), _Scale(0, 1, _HEIGHT - _BOTTOM, _TOP)
    most = max(b["rows"] for b in bins)
    ticks = [(v / 5, f"{v * 20}%") for v in range(6)]
    parts = [_axes(x, y, labels, ticks, ticks_y=ticks), _line("ideal", x(0), y(0), x(1), y(1))]
    for b in bins:
        top = y(b["rows"] / most * 0.3)
        parts.append(f'<rect class="share" x="{x(b["low"])}" y="{top}" width="{x(b["high"]) - x(b["low"]) - 1:.1f}" '
                     f'height="{y(0) - top:.1f}"/>')  # fmt: skip
    solid = [b for b in bins if b["rows"] >= FEW_ROWS]
    joined = " ".join(f"{x(b['sure'])},{y(b['right'])}" for b in solid)
    parts.append(f'<polyline class="line" points="{joined}"/>')
    for b in bins:
        kind, radius = ("dot", 5) if b["rows"] >= FEW_ROWS else ("dot beaten", 3.5)
        parts.append(f'<circle class="{kind}" cx="{x(b["sure"])}" cy="{y(b["right"])}" r="{radius}"/>')
    return _svg(labels, "".join(parts))


def confusion_matrix(matrix: Sequence[Sequence[int]], class_names: Sequence[str], labels: ChartLabels) -> str:
    """Return a heat map: rows are true class_names, columns are answers, the shade is the share of the row."""
    size = len(class_names)
    left, top = 112, 112
    # Few names are slanted, many are vertical; slanted names need space on the right.
    turn, room = (-55, 44) if size <= 8 else (-90, 4)
    cell = (_WIDTH - left - room) / size
    font = max(min(cell * 0.42, 15.0), 7.5)
    small = f' font-size="{min(max(cell * 0.8, 9), 13):.1f}"'
    parts = []
    for i, label in enumerate(class_names):
        middle = (i + 0.5) * cell
        name = escape(_shorten(label, 13))
        parts.append(f'<text class="end" x="{left - 6}" y="{top + middle + 4:.1f}"{small}>{name}</text>')
        place = f"translate({left + middle + 4:.1f} {top - 6}) rotate({turn})"
        parts.append(f'<text transform="{place}"{small}>{name}</text>')
    for i, row in enumerate(matrix):
        whole = max(sum(row), 1)
        for j, number in enumerate(row):
            share = number / whole
            shade = 0.04 + 0.92 * share**0.6 if number else 0.03
            at, down = left + j * cell, top + i * cell
            kind = "cell" if i == j else "cell wrong"
            parts.append(f'<rect class="{kind}" fill-opacity="{shade:.2f}" x="{at:.1f}" y="{down:.1f}" '
                         f'width="{cell - 1:.1f}" height="{cell - 1:.1f}"/>')  # fmt: skip
            if number:
                on = " on" if shade > 0.62 else ""
                parts.append(f'<text class="mid{on}" font-size="{font:.1f}" x="{at + cell / 2:.1f}" '
                             f'y="{down + cell / 2 + font * 0.36:.1f}">{number}</text>')  # fmt: skip
    parts.append(f'<text class="dim" x="4" y="{top - 6}">{escape(labels.y)}</text>')
    parts.append(
        f'<text class="dim end" x="{_WIDTH - 4}" y="{top + size * cell + 18:.0f}">{escape(labels.x)}</text>'
    )
    return _svg(labels, "".join(parts), round(top + size * cell + 26))


def _shorten(name: str, most: int) -> str:
    """Return a long name as its beginning and end, because class_names often differ at the end."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-(most // 2) :]}"


def bar_chart(values: Sequence[tuple[str, float]], labels: ChartLabels) -> str:
    """Return one horizontal bar per (name, value), with the value at its end."""
    height = 24
    most = max((value for _, value in values), default=1) or 1
    parts = []
    for i, (name, value) in enumerate(values):
        top = i * height + 6
        long = (_WIDTH - 150 - 56) * value / most
        shown = escape(_shorten(name, 17))
        parts.append(f'<text class="end" x="142" y="{top + 14}">{shown}</text>')
        parts.append(
            f'<rect class="cell" fill-opacity=".75" x="150" y="{top + 2}" width="{max(long, 1):.1f}" height="16"/>'
        )
        parts.append(f'<text x="{155 + long:.1f}" y="{top + 14}">{value:,.0f}</text>')
    return _svg(labels, "".join(parts), len(values) * height + 12)


def multi_line_chart(
    series: Sequence[tuple[str, Sequence[tuple[float, float]]]], labels: ChartLabels, top: float
) -> str:
    """Return named lines over rows, the first one emphasised, with a dashed line at 1.

    Values are clipped at `top`.
    """
    x = _Scale(0, _round_up(max(rows for _, points in series for rows, _ in points)), _LEFT, _WIDTH - _RIGHT)
    y = _Scale(0, top, _HEIGHT - _BOTTOM, _TOP)
    ticks = [(v, f"{v:,.0f}") for v in _round_ticks(0, x.high, 4)]
    ticks_y = [(v, f"{v * 100:.0f}%") for v in _round_ticks(0, top, 4)]
    parts = [_axes(x, y, labels, ticks, ticks_y=ticks_y), _line("bar", _LEFT, y(1), _WIDTH - _RIGHT, y(1))]
    taken: list[tuple[float, float, float, float]] = []
    for nth, (name, points) in reversed(list(enumerate(series))):
        path = " ".join(f"{x(rows)},{y(min(max(value, 0), top))}" for rows, value in points)
        parts.append(f'<polyline class="{"front" if nth else "line"}" points="{path}"/>')
        rows, value = points[-1]
        parts.append(_point_label(name, x(rows), y(min(max(value, 0), top)), taken, strong=nth == 0))
    return _svg(labels, "".join(parts))


def cost_chart(
    series: Sequence[tuple[str, Sequence[tuple[float, float]]]], labels: ChartLabels, now: float | None
) -> str:
    """Return costs over volumes on logarithmic axes.

    The first series is the product; a name may be empty. now: a volume to mark.
    """
    volumes = [at for _, points in series for at, _ in points]
    costs = [max(cost, 1e-9) for _, points in series for _, cost in points]
    x = _Scale(min(volumes), max(volumes), _LEFT + 8, _WIDTH - _RIGHT, log=True)
    y = _Scale(
        10 ** math.floor(math.log10(min(costs))),
        10 ** math.ceil(math.log10(max(costs))),
        _HEIGHT - _BOTTOM,
        _TOP,
        log=True,
    )
    parts = [_axes(x, y, labels, _decade_ticks(x), ticks_y=_decade_ticks(y))]
    if now is not None and x.low <= now <= x.high:
        parts.append(_line("bar", x(now), _TOP, x(now), _HEIGHT - _BOTTOM))
    taken: list[tuple[float, float, float, float]] = []
    for nth, (name, points) in enumerate(series):
        path = " ".join(f"{x(at)},{y(max(cost, 1e-9))}" for at, cost in points)
        parts.append(f'<polyline class="{"front" if nth else "line"}" points="{path}"/>')
        if name:
            # The product's line is labelled near its beginning, where it lies above the others.
            at, cost = points[-1] if nth else points[len(points) // 4]
            parts.append(_point_label(name, x(at), y(max(cost, 1e-9)), taken, strong=nth == 0))
    return _svg(labels, "".join(parts))


def paired_bar_chart(
    values: Sequence[tuple[str, float | None, float]], labels: ChartLabels, legend: tuple[str, str]
) -> str:
    """Return two bars per name, the expected share (None: no bar) and the observed share."""
    height, left = 34, 150
    most = max((max(a or 0.0, b) for _, a, b in values), default=1.0) or 1.0
    parts = [
        f'<rect class="share" x="{left}" y="2" width="12" height="10"/><text class="dim" x="{left + 17}" y="12">{escape(legend[0])}</text>',
        f'<rect class="cell" x="{left + 130}" y="2" width="12" height="10"/><text class="dim" x="{left + 147}" y="12">{escape(legend[1])}</text>',
    ]
    for i, (name, expected, seen) in enumerate(values):
        top = i * height + 22
        parts.append(f'<text class="end" x="{left - 8}" y="{top + 17}">{escape(_shorten(name, 17))}</text>')
        for down, kind, share in ((0, "share", expected), (13, "cell", seen)):
            if share is None:
                continue
            long = (_WIDTH - left - 56) * share / most
            parts.append(
                f'<rect class="{kind}" x="{left}" y="{top + down}" width="{max(long, 1):.1f}" height="11"/>'
            )
            parts.append(
                f'<text class="dim" x="{left + long + 5:.1f}" y="{top + down + 10}">{share * 100:.1f}%</text>'
            )
    return _svg(labels, "".join(parts), len(values) * height + 26)


def _svg(labels: ChartLabels, inner: str, height: int = _HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(labels.title)}. {escape(labels.description)}">'
        f"<title>{escape(labels.title)}</title><desc>{escape(labels.description)}</desc>{inner}</svg>"
    )


def _axes(
    x: _Scale, y: _Scale, labels: ChartLabels, ticks: Sequence[tuple[float, str]], form: str = "{}",
    ticks_y: Sequence[tuple[float, str]] | None = None,
) -> str:  # fmt: skip
    """Return the grid, ticks and names of both axes."""
    floor = _HEIGHT - _BOTTOM
    parts = []
    for value, name in ticks_y or _named(_round_ticks(y.low, y.high, 4)):
        parts.append(_line("grid", _LEFT, y(value), _WIDTH - _RIGHT, y(value)))
        parts.append(f'<text class="dim end" x="{_LEFT - 6}" y="{y(value) + 4:.1f}">{name}</text>')
    for value, name in ticks:
        parts.append(_line("grid", x(value), _TOP, x(value), floor))
        side = "end" if value == ticks[-1][0] and len(name) > 3 else "mid"
        parts.append(f'<text class="dim {side}" x="{x(value)}" y="{floor + 17}">{form.format(name)}</text>')
    parts.append(_line("axis", _LEFT, floor, _WIDTH - _RIGHT, floor))
    parts.append(f'<text class="dim end" x="{_WIDTH - _RIGHT}" y="{floor + 36}">{escape(labels.x)}</text>')
    parts.append(f'<text class="dim" x="4" y="{floor + 36}">↑ {escape(labels.y)}</text>')
    return "".join(parts)


def _score_scale(values: Sequence[float]) -> _Scale:
    low, high = min(values), max(values)
    room = max((high - low) * 0.08, 0.005)
    if low >= 0 and high <= 1:
        return _Scale(max(low - room, 0), min(high + room, 1), _HEIGHT - _BOTTOM, _TOP)
    return _Scale(low - room, high + room, _HEIGHT - _BOTTOM, _TOP)


def _round_ticks(low: float, high: float, parts: int) -> list[float]:
    """Return round values between `low` and `high`, about `parts` of them."""
    raw = (high - low) / parts or 1.0
    size = 10 ** math.floor(math.log10(raw))
    step = min((s * size for s in (1, 2, 2.5, 5, 10)), key=lambda s: abs(s - raw))
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _named(ticks: Sequence[float]) -> list[tuple[float, str]]:
    """Return ticks with their names: all with the decimals that the finest one needs."""
    digits = next((d for d in range(7) if all(abs(round(v, d) - v) < 1e-9 for v in ticks)), 7)
    return [(v, f"{v:,.{digits}f}") for v in ticks]


def _round_up(value: float) -> float:
    """Return the next round number, so that the scale ends at a tick."""
    steps = _round_ticks(0, value, 4)
    step = steps[1] - steps[0] if len(steps) > 1 else value
    return math.ceil(value / step - 1e-9) * step


def _decade_ticks(x: _Scale) -> list[tuple[float, str]]:
    first, last = round(math.log10(x.low)), round(math.log10(x.high))
    every = 1 if last - first <= 4 else 2
    return [(10.0**e, significant(10.0**e, 1)) for e in range(first, last + 1, every)]


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'
