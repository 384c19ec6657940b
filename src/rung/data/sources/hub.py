"""Locate the Parquet files of a Hugging Face data set."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from rung.core.errors import DataError, did_you_mean
from rung.data.sources.download import fetch
from rung.data.sources.files import File

_NAME = re.compile(r"hf:((?:[\w.-]+/)?[\w.-]+?)(?::([\w.-]+))?")
_MOST_LIST = 16 << 20
_MOST_FILES = 10_000


def hub_files(path: str, split: str | None) -> list[File]:
    """Return the Parquet files of a split, in order. path: hf:owner/name, or hf:owner/name:subset.

    split: by default "train", or the only one. HF_ENDPOINT and HF_TOKEN are read as the hub's own tools do.
    Raises DataError when there is no such data set, subset or split.
    """
    match = _NAME.fullmatch(path)
    if match is None or ".." in path:
        raise DataError(f"'{path}' names no data set", path, "Write hf:owner/name, or hf:owner/name:subset.")
    name, subset = match.groups()
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    token = os.environ.get("HF_TOKEN", "")
    listed = _listed(f"{endpoint}/api/datasets/{name}/parquet", token, path)
    splits = _one(listed, subset or "default", "subset", path, f"Name it: `path: hf:{name}:SUBSET`.")
    if not isinstance(splits, dict) or not splits:
        raise DataError("the hub has no Parquet files of it", path, "Download it, and name its files.")
    urls = _one(splits, split or "train", "split", path, "Name one: `split: ...`.", chosen=split is not None)
    if not isinstance(urls, list) or not 0 < len(urls) <= _MOST_FILES:
        raise DataError("the hub has no Parquet files of it", path, "Download it, and name its files.")
    own = f"{endpoint}/"
    fetched = [fetch(str(url), token if str(url).startswith(own) else "") for url in urls]
    return [File(file.path, f"{name}/{number}.parquet") for number, file in enumerate(fetched)]


def _listed(url: str, token: str, path: str) -> dict[str, Any]:
    try:
        file = fetch(url, token, _MOST_LIST)
        listed = json.loads(file.path.read_text(encoding="utf-8"))
    except DataError as error:
        fix = error.fix
        if re.search(r"answers 40[134]", error.problem):
            fix = "Check the name. A private or gated data set needs the environment variable HF_TOKEN."
        raise DataError(error.problem, path, fix) from None
    except ValueError:
        listed = None
    if not isinstance(listed, dict) or not listed:
        raise DataError(
            "the hub's list of its files is empty or not JSON", path, "Download it, and name its files."
        )
    return listed


def _one(found: dict[str, Any], wanted: str, kind: str, path: str, fix: str, chosen: bool = True) -> Any:
    """Return the entry of that name, or the only one there is when none was chosen."""
    if wanted in found:
        return found[wanted]
    if len(found) == 1 and (not chosen or wanted == "default"):
        return next(iter(found.values()))
    known = did_you_mean(wanted, found)
    raise DataError(f"the data set has no {kind} '{wanted}'", path, f"{known} {fix}")
