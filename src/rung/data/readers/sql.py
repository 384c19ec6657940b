"""Read the result of a database query, streamed through SQLAlchemy."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rung.core.errors import DataError, MissingExtra, RungError, did_you_mean
from rung.core.spec.source_names import expand_variables, masked, without_source_secrets
from rung.core.types import Row
from rung.data.sources.rows import Table, header, plain, row_of

_BATCH = 1000
_READS = re.compile(r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*\(*\s*(?:select|with|values|table)\b", re.I | re.S)
_FIX = "Check the query in your database's own client."


class QueryTable(Table):
    """The rows that a query gives now. The query is run again for each pass."""

    def __init__(self, address: str, query: str, base: Path) -> None:
        self.name = masked(address)
        self._address = address
        self._query = query
        self._base = base
        with self._answers() as answers:
            self.columns = header([str(key) for key in answers.keys()], self.name)  # noqa: SIM118
            if answers.first() is None:
                raise DataError("the query gives no row", self.name, _FIX)

    def rows(self) -> Iterator[Row]:
        with self._answers() as answers:
            for number, raw in enumerate(answers, 1):
                yield row_of(self.name, number, self.columns, list(map(plain, raw)))

    def hashes(self) -> Iterator[tuple[str, str]]:
        """Yield one hash over all rows, whatever their order: a database may give them in another each time."""
        total, count = 0, 0
        for row in self.rows():
            content = [row.values, row.hash] if row.unreadable else row.values
            text = json.dumps(content, ensure_ascii=False, sort_keys=True, default=str)
            total += int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), "big")
            count += 1
        yield self.name, f"{total % (1 << 256):064x}-{count}"

    @contextmanager
    def _answers(self) -> Iterator[Any]:
        with _connected(self._address, self._base) as connection:
            from sqlalchemy import text

            # Colons in a query are no parameters of ours.
            statement = text(self._query.replace(":", r"\:"))
            yield connection.execution_options(stream_results=True, yield_per=_BATCH).execute(statement)


def open_query(address: str, query: str | None, base: Path) -> Table:
    """Return the table that a query gives. address: a SQLAlchemy URL; base: where paths of SQLite start.

    Raises DataError when there is no such database or table, or the query is wrong, MissingExtra.
    """
    if not query:
        listed = ", ".join(_tables(address, base)[:20]) or "none that can be listed"
        fix = f'Add one: `query: "select ... from ..."`. Tables: {listed}.'
        raise DataError("a database needs a query (data.query)", masked(address), fix)
    if not _READS.match(query):
        begin = " ".join(query.split())[:40]
        raise DataError(
            f"the query begins with '{begin}'",
            masked(address),
            "Begin with select or with: data is only read.",
        )
    return QueryTable(address, query, base)


@contextmanager
def _connected(address: str, base: Path) -> Iterator[Any]:
    """Yield a connection, rolled back at the end; what goes wrong is said without the address's secrets."""
    try:
        from sqlalchemy import create_engine
        from sqlalchemy.exc import SQLAlchemyError
        from sqlalchemy.pool import NullPool
    except ImportError:
        raise MissingExtra("reading databases", "sql", "sqlalchemy") from None
    try:
        url = _url(address, base)
        engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
        with engine.connect() as connection:
            if url.get_backend_name() == "sqlite":
                driver: Any = connection.connection.dbapi_connection
                driver.text_factory = _text_or_bytes
            yield connection
            connection.rollback()
    except ModuleNotFoundError as error:
        package = str(error.name)
        raise DataError(
            f"its driver '{package}' is not installed", masked(address), f"pip install {package}"
        ) from None
    except SQLAlchemyError as error:
        raise _in_words(error, address, base) from None


def _url(address: str, base: Path) -> Any:
    """Return the address with its variables filled in; a SQLite file is found from `base` and opened to read."""
    from sqlalchemy import make_url

    url = make_url(expand_variables(address))
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return url
    path = base / url.database
    if not path.is_file():
        siblings = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
        fix = did_you_mean(path.name, siblings) if siblings else "Check `data.path`."
        raise DataError("there is no such database file", str(path), fix)
    return url.set(database=path.resolve().as_uri(), query={"mode": "ro", "uri": "true"})


def _text_or_bytes(data: bytes) -> str | bytes:
    """Return a text; as it stands when it is not UTF-8, so that its row alone is left out."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _tables(address: str, base: Path) -> list[str]:
    with _connected(address, base) as connection:
        from sqlalchemy import inspect

        found = inspect(connection)
        return sorted([*found.get_table_names(), *found.get_view_names()])


def _in_words(error: Any, address: str, base: Path) -> RungError:
    """Return a database's complaint as ours; a table that is not there with the one that was meant."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__]
    reason = without_source_secrets(lines[0], address)
    fix = _FIX
    missing = re.search(
        r"no such table: (\S+)|relation \"([^\"]+)\" does not exist|[Tt]able '([^']+)'", lines[0]
    )
    if missing:
        name = next(filter(None, missing.groups())).split(".")[-1]
        fix = did_you_mean(name, _tables(address, base))
    elif "load plugin" in lines[0] or "parse" in lines[0]:
        fix = "Write an address as SQLAlchemy does: sqlite:///tickets.db, postgresql+psycopg://user:${DB_PASSWORD}@host/name."
    return DataError(f"the database says: {reason}", masked(address), fix)
