"""Which database holds the journal of a service folder: the one that servers share, or a file in the folder."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, create_engine

from rung.core.errors import RungError
from rung.journal.postgres import PostgresStorage, open_shared, shared_url
from rung.journal.schema import FILE_NAME
from rung.journal.storage import SqliteStorage, Storage


def open_storage(folder: Path) -> Storage:
    """Return where the journal of a service folder is written; made when there is none."""
    url = shared_url()
    return SqliteStorage(folder / FILE_NAME) if url is None else PostgresStorage(url)


def open_for_reading(folder: Path) -> Engine:
    """Return what connects to the journal of a service folder; raises RungError where it has none."""
    url = shared_url()
    if url is not None:
        return open_shared(url)
    path = folder / FILE_NAME
    if not path.is_file():
        fix = "Serve the product first: rung serve product.yaml. Without `rung[ops]` or with --no-journal nothing is stored."
        raise RungError("there is no journal here", str(path), fix)
    return create_engine(f"sqlite:///{path}", connect_args={"timeout": 10})
