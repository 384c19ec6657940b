"""Find the files that the cells of a source name, and only those."""

from __future__ import annotations

from pathlib import Path

from rung.core.blobs import BlobStore


class SourcePlace:
    """Where the cells of a source came from: files that a cell names must lie below one of its folders.

    folders: of the source file and of the product. store: takes the media. opens_media: whether what is in them is
    looked at, as every build does, or only their bytes are hashed.
    """

    def __init__(self, store: BlobStore, *folders: Path) -> None:
        self.store = store
        self.opens_media = True
        self._at: dict[Path, SourcePlace] = {}
        self._folders = [folder.resolve() for folder in dict.fromkeys(folders)]

    def at(self, folder: Path | None) -> SourcePlace:
        """Return the same place, where names are looked for in this folder first; None: the place itself.

        Tables of one source may name different files alike: each row's are those beside its own table.
        """
        if folder is None:
            return self
        if folder not in self._at:  # asked row by row: folders are resolved once
            self._at[folder] = SourcePlace(self.store, folder, *self._folders)
        found = self._at[folder]
        found.opens_media = self.opens_media
        return found

    def find(self, name: str) -> Path:
        """Return the file that a cell names; raises ValueError, "reason: detail": see `Kind.parse`.

        A link or `..` that leads out of the folders is refused: rows may come from elsewhere, and what they name
        would be copied into the bundle.
        """
        outside = False
        for folder in self._folders:
            try:
                path = (folder / name).resolve()
                if not path.is_file():
                    continue
            except (OSError, ValueError):
                continue
            if any(path.is_relative_to(allowed) for allowed in self._folders):
                return path
            outside = True
        if outside:
            raise ValueError(f"outside_folder: leads out of the data's folder with '{name[:200]}'")
        raise ValueError(f"missing_file: names '{name[:200]}', and there is no such file beside the data")
