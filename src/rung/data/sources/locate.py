"""Resolve the paths of a spec to tables: patterns, addresses, folders, databases."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from rung.core.errors import DataError, did_you_mean
from rung.core.spec.source_names import expand_variables, is_address, is_hub, masked
from rung.data.readers import readers
from rung.data.readers.any_folder import open_any_folder
from rung.data.readers.coco import looks_like_coco, open_coco
from rung.data.readers.folder import FolderTable
from rung.data.readers.sql import open_query
from rung.data.readers.tarred_folder import is_tar, open_tarred
from rung.data.readers.zipped_folder import is_class_folder, open_zipped
from rung.data.sources.download import fetch
from rung.data.sources.files import File
from rung.data.sources.hub import hub_files
from rung.data.sources.rows import Reading, Table
from rung.data.sources.shard_folder import shard_files

_MOST_FILES = 10_000


def open_tables(paths: Sequence[str], reading: Reading, base: Path) -> list[Table]:
    """Return the tables that the paths of a spec name, in their order; those of a pattern sorted by name.

    base: the folder that relative paths start from. Raises DataError for one that cannot be read.
    """
    named = [(path, Path(path)) for path in paths]
    local = [base / path for text, path in named if not (is_address(text) or is_hub(text))]
    found = [file for path in local for file in matching_files(path)]
    names = _names(found, base)
    tables: list[Table] = []
    for text, path in named:
        if is_address(text) or is_hub(text):
            tables.extend(_open_remote(text, reading, base))
        else:
            tables.extend(_open_local(file, names[file], reading) for file in matching_files(base / path))
    folders = [table for table in tables if isinstance(table, FolderTable)]
    for table in folders if len(folders) > 1 else ():
        table.prefix = f"{table.name}/"
    return tables


def _open_remote(path: str, reading: Reading, base: Path) -> Iterator[Table]:
    if is_hub(path):
        for file in hub_files(path, reading.split):
            yield open_file(file, reading)
        return
    scheme = expand_variables(path).partition("://")[0].casefold()
    if scheme in {"http", "https"}:
        yield open_file(fetch(path), reading)
    elif scheme in {"file", "ftp", "ftps", "s3", "gs", "gcs", "az", "abfs", "hdfs"}:
        fix = "Copy the file here and name its path." if scheme != "file" else "Write the path alone."
        raise DataError(f"addresses of the kind {scheme}:// are not read", masked(path), fix)
    else:
        yield open_query(path, reading.query, base)


def matching_files(path: Path) -> list[Path]:
    """Return the files that a path names: itself, or those of a pattern or a folder of shards in the order of their names."""
    if path.is_dir() and (shards := shard_files(path)):
        return _not_too_many(shards, path)
    if path.exists() or not glob.has_magic(str(path)):
        return [path]
    fixed = next(parent for parent in path.parents if not glob.has_magic(str(parent)))
    matches = glob.glob(str(path.relative_to(fixed)), root_dir=fixed, recursive=True)  # noqa: PTH207 (hidden files)
    found = sorted(fixed / match for match in matches if (fixed / match).is_file())
    if not found:
        there = sorted(p.name for p in fixed.iterdir())[:6] if fixed.is_dir() else []
        fix = (
            f"In {fixed.name or fixed} there are: {', '.join(there)}."
            if there
            else f"There is nothing in {fixed}."
        )
        raise DataError("no file matches this pattern", str(path), fix)
    return _not_too_many(found, path)


def _not_too_many(found: list[Path], path: Path) -> list[Path]:
    if len(found) > _MOST_FILES:
        raise DataError(
            f"{len(found):,} files match; at most {_MOST_FILES:,} are read",
            str(path),
            "Put them into fewer files.",
        )
    return found


def _names(paths: Sequence[Path], base: Path) -> dict[Path, str]:
    """Return what each file is called: its name, or its path from `base` where two share a name."""
    short = [path.name for path in paths]
    if len(set(short)) == len(set(paths)):
        return dict(zip(paths, short, strict=True))
    return {
        path: path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path) for path in paths
    }


def _open_local(path: Path, name: str, reading: Reading) -> Table:
    if not path.exists():
        siblings = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
        fix = did_you_mean(path.name, siblings) if siblings else "Check `data.path`."
        raise DataError("there is no such file or folder", str(path), fix)
    if path.is_dir():
        return open_any_folder(path, name)
    if not path.is_file():
        raise DataError("this is neither a file nor a folder", str(path), "Save the table as a file.")
    if path.stat().st_size == 0:
        raise DataError("the file is empty", name, "It needs a header and rows.")
    table = open_file(File(path, name), reading)
    table.folder = table.folder or path.parent
    return table


def open_file(file: File, reading: Reading) -> Table:
    """Return the table of a file, by its ending; raises DataError when no format has it."""
    if is_tar(file):
        return open_tarred(file)
    if file.packing == ".zip" and is_class_folder(file):
        return open_zipped(file)
    suffix = file.suffix
    if suffix == ".json" and not file.packing and looks_like_coco(file.path):
        boxes = open_coco(file.path, file.name)
        if boxes is not None:
            return boxes
    known = readers()
    if suffix not in known:
        kind = f"files of kind '{suffix}'" if suffix else "files without an ending"
        fix = "Save it as .csv, .tsv, .jsonl, .parquet or .xlsx."
        raise DataError(f"{kind} are not read", file.name, fix)
    return known[suffix].open_table(file, reading)
