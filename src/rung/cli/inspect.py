"""`rung inspect`: show what a bundle is made of."""

from __future__ import annotations

from pathlib import Path

import click

from rung.cli.options import as_json, console, lang, print_json
from rung.cli.terminal import echo


@click.command(
    epilog="\b\nExamples:\n  rung inspect runs/news-001/bundle\n  rung inspect model.onnx --svg model.svg"
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--svg", type=click.Path(path_type=Path, dir_okay=False), help="Also draw the layers of ONNX files."
)
@as_json
def command(bundle: Path, svg: Path | None, as_json: bool) -> None:
    """Show the layers of BUNDLE, or of an ONNX file: shapes, weights, share of time and memory."""
    from rung.core.errors import RungError
    from rung.core.files import write_text
    from rung.core.messages import say
    from rung.pages.architecture import layers_svg
    from rung.serving.architecture import bundle_parts
    from rung.serving.predictor import open_bundle

    words = lang()
    if bundle.is_dir():
        open_bundle(bundle)  # Checks every file's hash.
    elif not bundle.is_file():
        raise RungError("there is no such bundle or file", str(bundle), "Name a bundle or an ONNX file.")
    parts = bundle_parts(bundle)
    if svg is not None:
        write_text(svg, layers_svg([part.as_dict() for part in parts], words))
        echo(say("term.wrote", words, path=svg), err=True)
    if as_json:
        print_json([part.as_dict() for part in parts])
        return
    for part in parts:
        _print(part, words)


def _print(part: object, words: str) -> None:
    """Print one file: its layers, or its tensors."""
    from rich.table import Table

    from rung.core.messages import say
    from rung.pages.architecture import shape_text, shares
    from rung.serving.architecture import FilePart

    if not isinstance(part, FilePart):
        raise TypeError(type(part).__name__)
    keys = ("layer", "shape", "weights", "time", "memory") if part.layers else ("tensor", "shape", "weights")
    table = Table(title=say("inspect.file", words, file=part.file, mb=f"{part.size_bytes / 1e6:.2f}"))
    for key in keys:
        table.add_column(
            say(f"inspect.{key}", words), justify="left" if key in {"layer", "tensor"} else "right"
        )
    for layer, (time, memory) in zip(part.layers, shares(part.as_dict()["layers"]), strict=True):
        size = f"{layer.weight_bytes / 1000:,.1f}"
        table.add_row(layer.operator, shape_text(layer.shape), size, f"{time:.1%}", f"{memory:.1%}")
    for tensor in part.tensors:
        table.add_row(tensor.name, shape_text(tensor.shape), f"{tensor.weight_bytes / 1000:,.1f}")
    console().print(table)
    if part.problem:
        echo(say("inspect.unrun", words, problem=part.problem))
