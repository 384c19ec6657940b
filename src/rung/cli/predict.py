"""`rung predict`: predict one text, or stream a file through a bundle."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import click

from rung.cli.options import lang, print_json
from rung.cli.terminal import VisibleStream, echo, to_json
from rung.core.messages import listed, say
from rung.core.messages.sentences import in_language

if TYPE_CHECKING:
    from rung.serving.predictor import Predictor


@click.command(
    epilog='\b\nExamples:\n  rung predict runs/news-001/bundle --text "The striker scored twice"\n'
    "  rung predict bundle photos/ -o labels.csv\n"
    "  rung predict bundle -i new.csv -o out.csv --scores --id ticket\n"
    "  rung predict bundle -i new.csv --explain\n"
    "  rung predict bundle -i 'rows/*.parquet' -o answers/ --workers 4\n"
    "  rung predict bundle -i 's3://bucket/rows/*.parquet' -o s3://bucket/answers/ --workers 4"
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--text", help="A text to predict.")
@click.option(
    "-i",
    "--input",
    "source",
    help="Input file of any format that build reads, a folder, or a pattern in quotes.",
)
@click.option(
    "-o",
    "--output",
    help="Output file, .csv or .jsonl, or a folder (rows/): one file of answers for each input file, and run again, only "
    "what is missing. Default: CSV to standard output.",
)
@click.option("--scores", is_flag=True, help="Also write the probability of every label.")
@click.option(
    "--explain", is_flag=True, help="Also write the parts of the input that decided, strongest first. Slower."
)
@click.option("--stream", is_flag=True, help="With --text: print the answer in pieces as it is generated.")
@click.option("--keep", is_flag=True, help="Also write the input columns.")
@click.option("--id", "id_column", help="Input column that identifies a row. Default: the row number.")
@click.option(
    "--engine",
    metavar="[local|ray|ray://HOST:PORT]",
    help="With -o FOLDER: where files are predicted. Default: local.",
)
@click.option(
    "--workers", type=click.IntRange(1, 256), help="With -o FOLDER: files at the same time. Default: 1."
)
@click.option("--encoding", help="Character encoding of the input. Default: detected.")
@click.option(
    "--json", "as_json", is_flag=True,
    help="Print JSON: one object for --text, JSON lines for -i, a summary with -o.",
)  # fmt: skip
def command(
    bundle: Path, files: tuple[Path, ...], text: str | None, source: str | None, output: str | None,
    encoding: str | None, as_json: bool, stream: bool, **options: Any,
) -> None:  # fmt: skip
    """Predict a text, every row of a file, or image, sound and document FILES, in order, with BUNDLE.

    FILES may be folders: every file below is predicted, one line each. In a table for such a model a column holds
    paths, which start at the table's folder and stay in it. A row that cannot be read gets an error.
    """
    from rung.serving.predictor import open_bundle

    if (text is not None) + (source is not None) + bool(files) != 1:
        raise click.UsageError("Give exactly one of FILES, --text and -i.")
    if stream and text is None:
        raise click.UsageError("--stream requires --text.")
    engine, workers = options.pop("engine"), options.pop("workers")
    is_batch = engine is not None or workers is not None or _is_folder(output)
    if is_batch and (source is None or output is None):
        raise click.UsageError("--engine, --workers and a folder of answers require -i and -o FOLDER.")
    model = open_bundle(bundle)
    if not model.manifest.certified:
        echo(say("predict.uncertified", lang()), err=True)
    if source is not None and output is not None and is_batch:
        _predict_batch(bundle, source, output, encoding, (engine or "local", workers), as_json, options)
    elif text is not None and stream:
        _stream_text(model, text, options["scores"], as_json)
    elif text is not None:
        _predict_text(model, text, options["scores"], as_json)
    else:
        paths = files or (Path(source or ""),)
        _predict_table(model, source, paths, output, encoding, as_json, options)


def _is_folder(output: str | None) -> bool:
    """Return whether an output is a folder; in a store there is nothing else."""
    from rung.core.object_store import is_address

    return output is not None and (
        output.endswith(("/", os.sep)) or is_address(output) or Path(output).is_dir()
    )


def _predict_table(
    model: Predictor, source: str | None, paths: tuple[Path, ...], output: str | None,
    encoding: str | None, as_json: bool, options: dict[str, Any],
) -> None:  # fmt: skip
    from rung.pages.data_notes import data_notes
    from rung.workflows.predict_rows import OutputOptions, open_rows, predict_rows

    out = None if output is None else Path(output)
    for path in paths:
        _refuse_overwriting(path, out)
    rows_of = open_rows(model, paths, source is not None, encoding)
    with _open_output(out) as file:
        line = OutputOptions(**options, jsonl=_is_jsonl(out) or (as_json and out is None))
        if file is sys.stdout or isinstance(file, VisibleStream):
            errors, rows = predict_rows(model, rows_of, file, line, to_json)
        else:
            errors, rows = predict_rows(model, rows_of, file, line)
    if as_json and out is not None:
        facts = {"file": str(out), "rows": rows, "errors": errors.total()}
        print_json(facts | ({"reasons": dict(errors)} if errors else {}))
    else:
        echo(say("predict.rows", lang(), rows=rows, errors=errors.total()), err=True)
        _print_reasons(errors)
    for table in rows_of.source.tables if not as_json else ():
        for note in data_notes({"dialects": {table.name: table.notes}}, lang()):
            echo(note, err=True)


def _print_reasons(errors: Counter[str]) -> None:
    """Print the most frequent reasons why rows have no answer."""
    from rung.workflows.predict_rows import MOST_ERRORS

    for reason, n in errors.most_common(MOST_ERRORS):
        echo(f"  {n:,}: {in_language(reason, lang())}", err=True)


def _predict_batch(
    bundle: Path, source: str, out: str, encoding: str | None, where: tuple[str, int | None],
    as_json: bool, options: dict[str, Any],
) -> None:  # fmt: skip
    """Predict many files into a folder, of a disk or of a store. where: the engine, and how many files at the same time."""
    from rung.core.object_store import is_address
    from rung.workflows.predict_rows import OutputOptions
    from rung.workflows.predict_shards import predict_shards
    from rung.workflows.predict_stored import predict_stored

    line = OutputOptions(**options, jsonl=as_json)
    if is_address(source) or is_address(out):
        found = predict_stored(bundle, source, out, line, encoding, *where)
    else:
        found = predict_shards(bundle, source, Path(out), line, encoding, *where)
    errors = found.errors.total()
    if as_json:
        facts = {
            "folder": str(out),
            "files": found.files,
            "kept": found.kept,
            "rows": found.rows,
            "errors": errors,
        }
        print_json(facts | {"reasons": dict(found.errors), "failed": dict(found.failed)})
    else:
        told = {"files": found.files, "kept": found.kept, "folder": str(out)}
        echo(say("predict.files", lang(), **told), err=True)
        echo(say("predict.rows", lang(), rows=found.rows, errors=errors), err=True)
        _print_reasons(found.errors)
        for _, why in found.failed:
            echo(say("predict.failed", lang(), why=in_language(why, lang())), err=True)
    click.get_current_context().exit(2 if found.failed else 0)


def _predict_text(model: Predictor, text: str, scores: bool, as_json: bool) -> None:
    from rung.core.errors import InputError

    answer = next(iter(model.respond([text], scores=True, answered_by=True)))
    if "error" in answer:
        raise InputError(answer["error"], "--text", "Give a text that is not empty.")
    reasons = model.explain([text])[0]
    if as_json:
        shown = answer if scores else {k: v for k, v in answer.items() if not k.startswith("score:")}
        print_json({**shown, "reasons": [reason.as_dict() for reason in reasons]})
        return
    first = model.schema.outputs[0].name
    probability = answer.get("probability")
    said = answer[first]
    words = (", ".join(map(str, said)) or "—") if isinstance(said, list) else f"{said}"
    echo(words + (f"  {probability:.4f}" if probability is not None else ""))
    if scores:
        for key, value in answer.items():
            if key.startswith("score:"):
                echo(f"  {key.removeprefix('score:')}  {value:.4f}")
    if reasons:
        named = listed((f"{r.text} ({r.weight:+.2f})" for r in reasons), lang())
        echo(say("predict.because", lang(), reasons=named))


def _stream_text(model: Predictor, text: str, scores: bool, as_json: bool) -> None:
    """Print an answer as it is generated: pieces of text, or one JSON object per line with the whole answer last."""
    from rung.core.types import Prediction

    pieces = 0
    for piece in model.stream(text):
        if isinstance(piece, Prediction):
            answer = model.to_response(piece, scores, answered_by=True)
        else:
            pieces += 1
            echo(to_json({"piece": piece}) if as_json else piece, nl=as_json)
    if as_json:
        print_json(answer, None)
    else:
        echo("" if pieces else answer[model.schema.outputs[0].name])


def _refuse_overwriting(source: Path, output: Path | None) -> None:
    from rung.core.errors import InputError

    if output is not None and (
        output.resolve() == source.resolve() or source.resolve() in output.resolve().parents
    ):
        raise InputError("the output would overwrite the input", str(output), "Choose another file with -o.")


def _is_jsonl(output: Path | None) -> bool:
    return output is not None and output.suffix.lower() in {".jsonl", ".ndjson"}


def _standard_output() -> Iterator[TextIO]:
    """Yield standard output for rows: visible on a terminal. Raises InputError for what its encoding cannot write."""
    from rung.core.errors import InputError

    stream, strict = sys.stdout, getattr(sys.stdout, "reconfigure", lambda **_: None)
    before = stream.errors
    strict(errors="strict")
    try:
        yield cast("TextIO", VisibleStream(stream)) if stream.isatty() else stream
        stream.flush()
    except UnicodeEncodeError as error:
        shown = error.object[error.start : error.start + 1]
        problem = f"the encoding {error.encoding} of the output cannot write '{shown}'"
        raise InputError(
            problem, "standard output", "Write to a file with -o, or set PYTHONIOENCODING=utf-8."
        ) from None
    finally:
        strict(errors=before or "strict")


@contextmanager
def _open_output(output: Path | None) -> Iterator[TextIO]:
    """Yield the output file; it appears under its name only when it is complete."""
    from rung.core.files import writing

    if output is None:
        yield from _standard_output()
        return
    temporary = output.with_name(output.name + ".tmp")
    with writing(output.parent):
        try:
            with temporary.open("w", encoding="utf-8", newline="") as file:
                yield file
            temporary.replace(output)
        finally:
            temporary.unlink(missing_ok=True)
