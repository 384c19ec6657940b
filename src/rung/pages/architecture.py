"""The layers of a network as a picture: in the report, and as a file of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from rung.core.messages import say
from rung.pages.elements import collapsible, figure, paragraph, section, table

# Heights and gaps of a box, and its width, in pixels.
_BOX, _GAP, _WIDTH = 30, 8, 640
# A network of more layers is shown on a click.
_MAX_VISIBLE = 12
_STYLE = (
    "text{font:13px sans-serif;fill:#222}text.strong{font-weight:bold}text.end{text-anchor:end}"
    ".grid{fill:#f4f6f8;stroke:#9aa5b1}.share{fill:#cfe3f7}"
)


def layers_section(report: Mapping[str, Any], lang: str) -> str:
    """Return the layers of the winner's networks, and what is not shown of them; "" where it has none."""
    study = report.get("study", {})
    parts = study.get("layers") or []
    notes = [
        say("layers.too_many", lang, file=file, n=n) for file, n in study.get("layers_too_many", {}).items()
    ]
    if study.get("layers_problem"):
        notes.append(say("layers.problem", lang, problem=study["layers_problem"]))
    if not parts and not notes:
        return ""
    figures = []
    for part in parts:
        layers = part["layers"]
        head = [say(f"inspect.{name}", lang) for name in ("layer", "shape", "weights", "time", "memory")]
        rows = [
            [layer["operator"], shape_text(layer["shape"]), f"{layer['weight_bytes'] / 1000:,.1f}", f"{time:.1%}", f"{memory:.1%}"]
            for layer, (time, memory) in zip(layers, shares(layers), strict=True)
        ]  # fmt: skip
        title = say("inspect.file", lang, file=part["file"], mb=f"{part['size_bytes'] / 1e6:.2f}")
        read = say("layers.read", lang, n=len(layers))
        drawn = figure(layers_svg([part], lang, alone=False), read, table(head, rows, title), lang)
        figures.append(drawn if len(layers) <= _MAX_VISIBLE else collapsible(f"{title}: {read}", drawn))
    source = [say("layers.source", lang)] if parts else []
    return section(
        "layers", say("layers.title", lang), *figures, *(paragraph(note, "note") for note in notes + source)
    )


def layers_svg(parts: Sequence[Mapping[str, Any]], lang: str, alone: bool = True) -> str:
    """Return the layers as boxes from top to bottom; the bar of a box is its share of the time.

    parts: each with `file` and `layers`. alone: for a file of its own, with colours; a page has its own.
    """
    lines, y = [], 20
    for part in parts:
        if not part["layers"]:
            continue
        lines.append(f'<text class="strong" x="20" y="{y}">{escape(part["file"])}</text>')
        y += 12
        for layer, (time, memory) in zip(part["layers"], shares(part["layers"]), strict=True):
            facts = say(
                "inspect.box", lang, shape=shape_text(layer["shape"]), kb=f"{layer['weight_bytes'] / 1000:,.0f}",
                time=f"{time:.0%}", memory=f"{memory:.0%}",
            )  # fmt: skip
            lines.append(f'<rect class="grid" fill="none" x="20" y="{y}" width="{_WIDTH}" height="{_BOX}"/>')
            lines.append(f'<rect class="share" x="20" y="{y}" width="{_WIDTH * time:.1f}" height="{_BOX}"/>')
            lines.append(f'<text x="32" y="{y + 20}">{escape(layer["operator"])}</text>')
            lines.append(f'<text class="end" x="{_WIDTH + 8}" y="{y + 20}">{escape(facts)}</text>')
            y += _BOX + _GAP
        y += 24
    title = escape(say("inspect.title", lang))
    size = f'width="{_WIDTH + 40}" height="{y + 10}"' if alone else f'viewBox="0 0 {_WIDTH + 40} {y + 10}"'
    style = f"<style>{_STYLE}</style>" if alone else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{title}">'
        f"<title>{title}</title>{style}{''.join(lines)}</svg>\n"
    )


def shares(layers: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Return of each layer its share of the time and of the memory of weights and outputs."""
    time = sum(layer["micros"] for layer in layers) or 1.0
    memory = sum(layer["weight_bytes"] + layer["output_bytes"] for layer in layers) or 1
    return [
        (layer["micros"] / time, (layer["weight_bytes"] + layer["output_bytes"]) / memory) for layer in layers
    ]


def shape_text(shape: Sequence[int]) -> str:
    """Return a shape as people write it: 1 x 32 x 384."""
    return " x ".join(map(str, shape))
