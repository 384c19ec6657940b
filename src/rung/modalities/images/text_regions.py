"""Find where text stands on an image from a map of how likely each cell is text: numpy only.

The map is that of a differentiable binarisation network (Liao et al. 2020): high in the core of a line. Cells that touch
are one line; the smallest rectangle around it, at whatever angle, is widened by what the core leaves out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
# Cells from this value on are text; a line's mean must reach the second. How far rectangles are widened: of the area
# over the perimeter.
_CELL, _LINE, _WIDENED = 0.3, 0.5, 1.6
# Cells of the shorter side of a core that are no line, and of a widened one.
_LEAST_CORE, _LEAST_SIDE = 3.0, 5.0


@dataclass(frozen=True)
class Region:
    """A rectangle at an angle. corners: [4, 2], x and y of top left, top right, bottom right, bottom left; score: mean of its cells."""

    corners: Floats
    score: float

    @property
    def sides(self) -> tuple[float, float]:
        """Return width and height along the rectangle's own edges."""
        one, two, three, four = self.corners
        across = max(math.dist(one, two), math.dist(four, three))
        return across, max(math.dist(one, four), math.dist(two, three))

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Return x, y, width and height of the upright rectangle around it."""
        (left, top), (right, bottom) = self.corners.min(axis=0), self.corners.max(axis=0)
        return float(left), float(top), float(right - left), float(bottom - top)


def find_regions(heat: npt.NDArray[np.float32], most: int) -> list[Region]:
    """Return the rectangles around lines of text in cells of the map, the largest first; at most `most`.

    heat: [rows, columns] in [0, 1].
    """
    text = heat > _CELL
    # Cells that nearly touch belong together: each grows by one to the right and down.
    text[:, 1:] |= text[:, :-1].copy()
    text[1:] |= text[:-1].copy()
    found = []
    for points in _components(text, most):
        rectangle = _smallest_rectangle(_hull(points))
        if min(rectangle.size) < _LEAST_CORE:
            continue
        score = _mean_inside(heat, rectangle)
        if score < _LINE:
            continue
        wide = rectangle.widened(_WIDENED)
        if min(wide.size) >= _LEAST_SIDE:
            found.append(Region(_ordered(wide.corners()), score))
    return found


def _components(text: npt.NDArray[np.bool_], most: int) -> list[Floats]:
    """Return the ends of the runs of cells of each connected part, [points, 2] as x and y; the largest parts, by cells."""
    rows, starts, ends = _runs(text)
    if not len(rows):
        return []
    labels = _joined(rows, starts, ends, text.shape[1] + 2)
    _, labels = np.unique(labels, return_inverse=True)
    cells = np.bincount(labels, weights=ends - starts + 1)
    order = np.argsort(labels, kind="stable")
    borders = np.cumsum(np.bincount(labels))[:-1]
    parts = np.split(order, borders)
    largest = np.argsort(-cells, kind="stable")[:most]
    return [
        np.concatenate([np.stack([starts[p], rows[p]], 1), np.stack([ends[p], rows[p]], 1)]).astype(
            np.float64
        )
        for p in (parts[i] for i in largest.tolist())
    ]


def _runs(text: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], ...]:
    """Return row, first and last column of every run of cells, row by row."""
    padded = np.zeros((text.shape[0], text.shape[1] + 2), np.int8)
    padded[:, 1:-1] = text
    step = np.diff(padded, axis=1)
    rows, starts = np.nonzero(step == 1)
    return rows, starts, np.nonzero(step == -1)[1] - 1


def _joined(
    rows: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], stride: int
) -> npt.NDArray[np.int64]:
    """Return a number for each run, equal for runs that touch, at corners too, directly or over others."""
    above = (rows - 1) * stride
    first = np.searchsorted(rows * stride + ends, above + starts - 1, "left")
    last = np.searchsorted(rows * stride + starts, above + ends + 1, "right")
    touching = np.maximum(last - first, 0)
    lower = np.repeat(np.arange(len(rows)), touching)
    offsets = np.arange(len(lower)) - np.repeat(np.cumsum(touching) - touching, touching)
    upper = np.repeat(first, touching) + offsets
    labels = np.arange(len(rows))
    while True:
        least = np.minimum(labels[lower], labels[upper])
        now = labels.copy()
        np.minimum.at(now, lower, least)
        np.minimum.at(now, upper, least)
        now = now[now]
        if np.array_equal(now, labels):
            return labels
        labels = now


def _hull(points: Floats) -> Floats:
    """Return the corners of the convex hull, counter-clockwise (Andrew's monotone chain)."""
    ordered = np.unique(points, axis=0).tolist()
    if len(ordered) < 3:
        return np.array(ordered, np.float64)
    return np.array(_half(ordered)[:-1] + _half(ordered[::-1])[:-1], np.float64)


def _half(points: list[list[float]]) -> list[list[float]]:
    kept: list[list[float]] = []
    for x, y in points:
        while len(kept) > 1 and (
            (kept[-1][0] - kept[-2][0]) * (y - kept[-2][1]) - (kept[-1][1] - kept[-2][1]) * (x - kept[-2][0])
            <= 0
        ):
            kept.pop()
        kept.append([x, y])
    return kept


@dataclass(frozen=True)
class _Rectangle:
    """centre: x, y. along: unit vector of its first side. size: of the first side and the other."""

    centre: tuple[float, float]
    along: tuple[float, float]
    size: tuple[float, float]

    def widened(self, ratio: float) -> _Rectangle:
        width, height = self.size
        more = 2 * ratio * width * height / (2 * (width + height))
        return _Rectangle(self.centre, self.along, (width + more, height + more))

    def corners(self) -> Floats:
        along = np.array(self.along)
        across = np.array([-along[1], along[0]])
        half = [along * self.size[0] / 2, across * self.size[1] / 2]
        signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
        return np.array([np.array(self.centre) + a * half[0] + b * half[1] for a, b in signs])


def _smallest_rectangle(hull: Floats) -> _Rectangle:
    """Return the rectangle of least area around a hull; one side lies along an edge of the hull (Freeman & Shapira 1975)."""
    edges = np.roll(hull, -1, axis=0) - hull
    lengths = np.hypot(edges[:, 0], edges[:, 1])
    axes = edges[lengths > 0] / lengths[lengths > 0, None]
    axes = axes if len(axes) else np.array([[1.0, 0.0]])
    along = axes @ hull.T
    across = np.stack([-axes[:, 1], axes[:, 0]], 1) @ hull.T
    widths, heights = np.ptp(along, axis=1), np.ptp(across, axis=1)
    best = int(np.argmin(widths * heights))
    axis = axes[best]
    middle = (along[best].max() + along[best].min()) / 2, (across[best].max() + across[best].min()) / 2
    centre = middle[0] * axis + middle[1] * np.array([-axis[1], axis[0]])
    return _Rectangle(
        (float(centre[0]), float(centre[1])),
        (float(axis[0]), float(axis[1])),
        (float(widths[best]), float(heights[best])),
    )


def _mean_inside(heat: npt.NDArray[np.float32], rectangle: _Rectangle) -> float:
    """Return the mean of the cells whose middles lie in a rectangle."""
    corners = rectangle.corners()
    left, top = np.floor(corners.min(axis=0)).clip(0).astype(int)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 1
    part = heat[top:bottom, left:right]
    down, across = np.mgrid[top : top + part.shape[0], left : left + part.shape[1]]
    x, y = across - rectangle.centre[0], down - rectangle.centre[1]
    cos, sin = rectangle.along
    inside = (np.abs(x * cos + y * sin) <= rectangle.size[0] / 2 + 0.5) & (
        np.abs(y * cos - x * sin) <= rectangle.size[1] / 2 + 0.5
    )
    return float(part[inside].mean()) if inside.any() else 0.0


def _ordered(corners: Floats) -> Floats:
    """Return the corners as top left, top right, bottom right, bottom left, as a reader holds the page."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    left, right = (part[np.argsort(part[:, 1], kind="stable")] for part in (by_x[:2], by_x[2:]))
    return np.stack([left[0], right[0], right[1], left[1]])
