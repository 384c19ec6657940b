"""Tell a folder that is one table cut into files from folders of other kinds."""

from __future__ import annotations

from pathlib import Path

from rung.data.sources.files import File

# Not .txt: a folder of texts is one of documents.
_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".pq")


def shard_files(folder: Path) -> list[Path]:
    """Return the files of a folder that holds tables of one format and nothing else, by name; [] for any other folder.

    What engines write beside their tables (_SUCCESS, _metadata, .crc) is passed over.
    """
    found = [path for path in sorted(folder.iterdir()) if path.name[0] not in "._"]
    if not all(path.is_file() for path in found):
        return []
    # A zip's own ending tells nothing of what it holds; no engine writes such shards.
    endings = {File(path, path.name).suffix if path.suffix.lower() != ".zip" else "" for path in found}
    return found if len(endings) == 1 and endings <= set(_ENDINGS) else []
