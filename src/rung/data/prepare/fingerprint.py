"""The sources of a product, and a hash of their current content, media included."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from rung.core import registry
from rung.core.blobs import BlobStore, content_hash
from rung.core.errors import DataError
from rung.core.files import sha256
from rung.core.kind import kind
from rung.core.spec.product import Product
from rung.data.labels.corrections import read_corrections
from rung.data.labels.overlay import open_overlay
from rung.data.prepare.feedback_rows import feedback_sources
from rung.data.prepare.side_tables import side_media, side_sources
from rung.data.sources.read import Source, open_source, read_rows
from rung.data.sources.rows import Reading


def fingerprint_data(product: Product, base: Path) -> str:
    """Return a hash of all that the sources hold now, media that they name too; a run folder belongs to one state of
    the data."""
    digest = hashlib.sha256()
    task = registry.task(product.task)
    media = [f.name for f in task.schema(product.data.input, []).inputs if kind(f.kind).is_media]
    of_rows = [source for source, _ in sources(product, base)]
    read = [(source, media) for source in [*of_rows, *feedback_sources(product, base)]]
    read += [(source, side_media(product, name)) for name, source in side_sources(product, base).items()]
    for source, named in read:
        try:
            for name, content in [*source.hashes(), *_media_hashes(source, named, base)]:
                digest.update(f"{name}\n{content}\n".encode())
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise DataError(
                f"it cannot be read: {reason}", str(error.filename), "Mend its permissions."
            ) from None
    if product.data.corrections:
        read_corrections(base / product.data.corrections)
        digest.update(sha256(base / product.data.corrections).encode())
    overlay = open_overlay(product, base)
    if overlay is not None:
        digest.update(overlay.hash.encode())
    return digest.hexdigest()


def _media_hashes(source: Source, media: list[str], base: Path) -> Iterator[tuple[str, str]]:
    """Yield (name, hash) of each file that a row names in one of these columns; what cannot be read has no hash."""
    place = source.place(BlobStore(base, base), base)
    for row in read_rows(source, media) if media else ():
        for column in media:
            cell = (row.values or {}).get(column)
            if not isinstance(cell, str) or cell[:5].lower() == "data:":
                continue
            try:
                yield cell, content_hash(place.at(row.folder).find(cell))
            except (ValueError, OSError):
                yield cell, ""


def sources(product: Product, base: Path) -> list[tuple[Source, bool]]:
    """Return what is to be read, and whether it is the user's own certification rows."""
    data, certify = product.data, product.certify
    found = [(open_source(data.paths, Reading.of(data, data.encoding), base), False)]
    if certify.path:
        reading = Reading.of(certify, data.encoding)
        found.append((open_source(certify.path, reading, base), True))
    return found
