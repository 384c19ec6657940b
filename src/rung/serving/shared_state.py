"""Keys, champions and limits of servers that share a journal on PostgreSQL.

The service folder of each server stays what commands and server read and write; the database has the word. A change pulls, edits
and pushes its files under the lock of writers; servers follow within a second. Without RUNG_JOURNAL nothing here does anything.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rung.core.files import locked, writing
from rung.core.logs import log

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

# The variable of `rung.journal.postgres`, which takes SQLAlchemy to import.
_VARIABLE = "RUNG_JOURNAL"
# The files of a service folder that servers share. The audit log stays with the server where something was done.
NAMES = ("keys.json", "champions.json", "shadows.json", "history.jsonl")
_FOLLOW_SECONDS = 0.4


class SharedFolder:
    """The shared files of a service folder. Raises RungError where the database cannot be reached."""

    def __init__(self, folder: Path) -> None:
        from rung.journal.postgres import open_shared, shared_url

        url = shared_url()
        assert url is not None  # noqa: S101 - `shared_folder` has looked
        self._folder, self._name = folder, str(url.set(password=None, query={}))
        self.engine: Engine = open_shared(url)
        self._versions: dict[str, int] = {}
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextmanager
    def edit(self) -> Iterator[None]:
        """Let the block change the files, as no other server does meanwhile; push what it changed."""
        from rung.journal.postgres import writers_lock

        with locked(self._folder / "shared.lock"), self._connected() as connection, writers_lock(connection):
            self._make_tables(connection)
            self._versions.clear()
            before = self._pull(connection)
            yield
            self._push(connection, before)

    def refresh(self) -> None:
        """Write the files that changed since the last call."""
        with locked(self._folder / "shared.lock"), self._connected() as connection, connection.begin():
            self._pull(connection)

    def follow(self, stop: threading.Event) -> None:
        """Refresh until `stop` is set; run this in its own thread. Without the database the files stay as they are."""
        from rung.core.errors import RungError

        problem = ""
        while not stop.wait(_FOLLOW_SECONDS):
            found = ""
            try:
                self.refresh()
            except (RungError, OSError) as error:
                found = error.problem if isinstance(error, RungError) else str(error.strerror)
            if found != problem:
                level = logging.ERROR if found else logging.INFO
                log("shared keys and champions", level, problem=found)
            problem = found

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        from sqlalchemy.exc import DBAPIError

        from rung.journal.postgres import postgres_error

        try:
            with self.engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise postgres_error(error, self._name) from None

    def _make_tables(self, connection: Connection) -> None:
        from rung.journal.shared_tables import SHARED

        SHARED.create_all(connection)

    def _pull(self, connection: Connection) -> dict[str, bytes]:
        """Write what is newer in the database than what was last seen of it, and return the content of that."""
        from sqlalchemy import select

        from rung.journal.shared_tables import FILES

        known = connection.execute(select(FILES.c.name, FILES.c.version))
        versions: dict[str, int] = {row.name: row.version for row in known}
        newer = [name for name in NAMES if versions.get(name, 0) > self._versions.get(name, 0)]
        found: dict[str, bytes] = {}
        for name in newer:
            content = connection.scalar(select(FILES.c.content).where(FILES.c.name == name))
            found[name] = bytes(content or b"")
            path = self._folder / name
            if not path.is_file() or path.read_bytes() != found[name]:
                _write(path, found[name])
        self._versions.update({name: versions[name] for name in newer})
        return found

    def _push(self, connection: Connection, before: dict[str, bytes]) -> None:
        """Store the files that are no longer what the database has."""
        from sqlalchemy.dialects.postgresql import insert

        from rung.journal.shared_tables import FILES

        for name in NAMES:
            path = self._folder / name
            content = path.read_bytes() if path.is_file() else None
            if content is None or content == before.get(name):
                continue
            version = self._versions.get(name, 0) + 1
            new = insert(FILES).values(name=name, content=content, version=version)
            kept = {"content": content, "version": version}
            connection.execute(new.on_conflict_do_update(index_elements=["name"], set_=kept))
            self._versions[name] = version


def shared_folder(folder: Path) -> SharedFolder | None:
    """Return what keeps a service folder in step with those of other servers; None where no journal is shared."""
    return SharedFolder(folder) if os.environ.get(_VARIABLE) else None


@contextmanager
def shared_edit(folder: Path) -> Iterator[None]:
    """Let the block change files of a service folder: for all servers, where they share a journal."""
    shared = shared_folder(folder)
    if shared is None:
        yield
        return
    try:
        with shared.edit():
            yield
    finally:
        shared.close()


def refresh(folder: Path) -> None:
    """Write what other servers changed, for a command that reads the folder."""
    shared = shared_folder(folder)
    if shared is not None:
        try:
            # Also makes the tables where there are none.
            with shared.edit():
                pass
        finally:
            shared.close()


def _write(path: Path, content: bytes) -> None:
    """Write a file for its owner alone, whole or not at all."""
    with writing(path.parent):
        temporary = path.with_name(path.name + ".new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.replace(path)
