"""`rung predict`: predict one text, or stream a file through a bundle."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast
from unicodedata import normalize

import click

from rung.cli.options import lang, print_json
from rung.cli.terminal import VisibleStream, echo, to_json
from rung.core.csv_cells import FORMULA_PREFIXES, escape_formula
from rung.core.messages import listed, say
from rung.core.messages.sentences import in_language

# So many different errors are counted by themselves.
_MOST_ERRORS = 10

if TYPE_CHECKING:
    from rung.data.sources.media_files import NamedMedia
    from rung.data.sources.read import Source
    from rung.serving.predictor import Predictor


@click.command(
    epilog='\b\nExamples:\n  rung predict runs/news-001/bundle --text "The striker scored twice"\n'
    "  rung predict bundle photos/ -o labels.csv\n"
    "  rung predict bundle -i new.csv -o out.csv --scores --id ticket\n"
    "  rung predict bundle -i new.csv --explain"
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--text", help="A text to predict.")
@click.option(
    "-i",
    "--input",
    "source",
    type=click.Path(path_type=Path),
    help="Input file of any format that build reads, or a folder.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Output file, .csv or .jsonl. Default: CSV to standard output.",
)
@click.option("--scores", is_flag=True, help="Also write the probability of every label.")
@click.option(
    "--explain", is_flag=True, help="Also write the parts of the input that decided, strongest first. Slower."
)
@click.option("--stream", is_flag=True, help="With --text: print the answer in pieces as it is generated.")
@click.option("--keep", is_flag=True, help="Also write the input columns.")
@click.option("--id", "id_column", help="Input column that identifies a row. Default: the row number.")
@click.option("--encoding", help="Character encoding of the input. Default: detected.")
@click.option(
    "--json", "as_json", is_flag=True,
    help="Print JSON: one object for --text, JSON lines for -i, a summary with -o.",
)  # fmt: skip
def command(
    bundle: Path, files: tuple[Path, ...], text: str | None, source: Path | None, output: Path | None,
    encoding: str | None, as_json: bool, stream: bool, **options: Any,
) -> None:  # fmt: skip
    """Predict a text, every row of a file, or image, sound and document FILES, in order, with BUNDLE.

    FILES may be folders: every file below is predicted, one line each. In a table for such a model a column holds
    paths, which start at the table's folder and stay in it. A row that cannot be read gets an error.
    """
    from rung.pages.data_notes import data_notes
    from rung.serving.predictor import open_bundle

    if (text is not None) + (source is not None) + bool(files) != 1:
        raise click.UsageError("Give exactly one of FILES, --text and -i.")
    if stream and text is None:
        raise click.UsageError("--stream requires --text.")
    model = open_bundle(bundle)
    if not model.manifest.certified:
        echo(say("predict.uncertified", lang()), err=True)
    if text is not None and stream:
        _stream_text(model, text, options["scores"], as_json)
    elif text is not None:
        _predict_text(model, text, options["scores"], as_json)
    else:
        for path in files or (source,):
            _refuse_overwriting(Path(path or ""), output)
        rows_of = _open_rows(model, source, files, encoding)
        with _open_output(output) as file:
            line = _OutputOptions(**options, jsonl=_is_jsonl(output) or (as_json and output is None))
            errors, rows = _predict_file(model, rows_of, file, line)
        if as_json and output is not None:
            facts = {"file": str(output), "rows": rows, "errors": errors.total()}
            print_json(facts | ({"reasons": dict(errors)} if errors else {}))
        else:
            echo(say("predict.rows", lang(), rows=rows, errors=errors.total()), err=True)
            for reason, n in errors.most_common(_MOST_ERRORS):
                echo(f"  {n:,}: {in_language(reason, lang())}", err=True)
        for table in rows_of.source.tables if not as_json else ():
            for note in data_notes({"dialects": {table.name: table.notes}}, lang()):
                echo(note, err=True)


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


@dataclass(frozen=True)
class _OutputOptions:
    """Which columns a line of the output holds, and whether it is JSON."""

    scores: bool
    explain: bool
    keep: bool
    id_column: str | None
    jsonl: bool


@dataclass(frozen=True)
class _Rows:
    """The rows to predict. named: reads media that cells refer to. are_files: rows are identified by their files."""

    source: Source
    named: NamedMedia
    are_files: bool = False


def _open_rows(model: Predictor, source: Path | None, files: tuple[Path, ...], encoding: str | None) -> _Rows:
    from rung.core.errors import InputError
    from rung.core.kind import MediaKind, kind
    from rung.data.sources.media_files import MediaFiles, NamedMedia, is_media_path
    from rung.data.sources.read import Source, open_source
    from rung.data.sources.rows import Reading

    inputs = model.schema.inputs
    known = {field.name: kind(field.kind) for field in inputs}
    media = {name: found for name, found in known.items() if isinstance(found, MediaKind)}
    first = next(iter(media.items()), None)
    paths = [source] if source is not None else list(files)
    if first and all(path.is_dir() if source else is_media_path(path, first[1]) for path in paths):
        if len(inputs) > 1:
            names = ", ".join(known)
            fix = "Give a table with a column for each: -i table.csv."
            raise InputError(f"the model reads {names}: files alone are not enough", str(paths[0]), fix)
        table = MediaFiles(paths, *first)
        return _Rows(Source(table.name, (table,)), NamedMedia({}, ()), are_files=True)
    if len(paths) > 1:
        raise click.UsageError("Give only one table.")
    opened = open_source(paths[0], Reading(encoding))
    folders = [table.folder for table in opened.tables if table.folder is not None]
    return _Rows(opened, NamedMedia(media, folders))


def _predict_file(
    model: Predictor, asked: _Rows, file: TextIO, options: _OutputOptions
) -> tuple[Counter[str], int]:
    """Stream rows through the model; return (error -> rows with it, rows)."""
    from rung.core.errors import InputError
    from rung.data.sources.read import read_rows

    id_column, source = options.id_column, asked.source
    wanted = [name for name in model.schema.input_names if name not in model.unused]
    for name in (*wanted, *([id_column] if id_column else [])):
        source.require(name, "the model's input" if name != id_column else "--id")
    needed = {*model.schema.input_names, *(normalize("NFC", name) for name in model.schema.input_names)}
    outputs = [field.name for field in model.task.columns(model.schema, options.scores)]
    result_columns = (*outputs, *(["reasons"] if options.explain else []), "error")
    first = "id" if id_column else "file" if asked.are_files else "row"
    reserved = {first, *result_columns}
    # An input column named like an output column is written under another name.
    kept = {c: f"input:{c}" if c in reserved else c for c in source.columns if options.keep}
    header = [first, *kept.values(), *result_columns]
    write = _json_writer(file, header, set(result_columns)) if options.jsonl else _csv_writer(file, header)
    waiting: deque[tuple[Any, ...]] = deque()

    def inputs() -> Iterator[Any]:
        for row in read_rows(source, needed):
            values = row.values or {}
            name = values.get(id_column, "") if id_column else row.file if asked.are_files else row.number
            waiting.append((name, *[_cell(values.get(column, "")) for column in kept]))
            if row.values is None:
                yield InputError(row.problem.partition(": ")[2] if asked.are_files else row.problem)
                continue
            try:
                yield asked.named.read(row.values)
            except ValueError as error:
                yield InputError(str(error))

    rows = 0
    errors: Counter[str] = Counter()
    for answer in model.respond(inputs(), options.scores, ahead=True, explain=options.explain):
        if options.explain and not options.jsonl:
            answer["reasons"] = "; ".join(
                f"{r['text']} ({r['weight']:+.2f})" for r in answer.get("reasons", ())
            )
        get = answer.get
        write([*waiting.popleft(), *[get(name, "") for name in result_columns]])
        rows += 1
        if "error" in answer and (len(errors) < _MOST_ERRORS or answer["error"] in errors):
            errors[answer["error"]] += 1
        elif "error" in answer:
            errors["other"] += 1
    return errors, rows


def _cell(value: Any) -> Any:
    """Return an input cell as written to the output: media by name."""
    return value.shown() if hasattr(value, "shown") else value


def _csv_writer(file: TextIO, header: list[str]) -> Any:
    writer = csv.writer(file, lineterminator="\n")

    def write(cells: list[Any]) -> None:
        # Labels and inputs are of others: a spreadsheet that opens the file would run formulas in them.
        cells = [json.dumps(c, ensure_ascii=False) if isinstance(c, list) else c for c in cells]
        shown = [
            escape_formula(c) if isinstance(c, str) and c.startswith(FORMULA_PREFIXES) else c for c in cells
        ]
        if any(isinstance(c, str) and "\r" in c for c in shown):
            # Before Python 3.13 a carriage return is quoted only where it ends lines.
            line = io.StringIO(newline="")
            csv.writer(line, lineterminator="\r\n").writerow(shown)
            file.write(line.getvalue()[:-2] + "\n")
        else:
            writer.writerow(shown)

    write(header)
    return write


def _json_writer(file: TextIO, header: list[str], skip: set[str]) -> Any:
    """Return a writer of JSON lines that leaves out empty result columns: the error, or the prediction."""
    printed = file is sys.stdout or isinstance(file, VisibleStream)
    encode = to_json if printed else json.JSONEncoder(ensure_ascii=False).encode

    def write(cells: list[Any]) -> None:
        line = {k: v for k, v in zip(header, cells, strict=True) if v != "" or k not in skip}
        file.write(encode(line) + "\n")

    return write


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
