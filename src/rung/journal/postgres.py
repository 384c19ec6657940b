"""A journal on PostgreSQL that several servers share, named by the environment variable RUNG_JOURNAL.

Writers take one lock for the length of a transaction, as they do of SQLite's file: records become visible in the order of their
numbers, and no key is erased between its look-up and the commit. A commit is on the server's disk when it is acknowledged
(`synchronous_commit`), so nothing acknowledged is lost with a server of either kind.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from rung.core.errors import MissingExtra, RungError
from rung.journal.database_files import JournalError
from rung.journal.storage import Storage

VARIABLE = "RUNG_JOURNAL"
# The key of the lock of writers: any number, the same in every version.
WRITERS = 7_263_514
# Seconds: of a connection that does not answer, of a lock, of a statement, of a writer that stops in a transaction.
_SOCKET, _LOCK, _STATEMENT, _IDLE = 15, 5, 10, 15
# Classes of SQLSTATE that concern the server and not the row: connection, transaction, resources, intervention, system.
_UNAVAILABLE = ("08", "25", "40", "53", "55", "57", "58", "XX")
_FIX = "postgresql://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full"


def shared_url() -> URL | None:
    """Return the address of the journal that servers share; None where the variable is not set.

    Raises RungError for one that is none of PostgreSQL; the password is in no message.
    """
    given = os.environ.get(VARIABLE, "")
    if not given:
        return None
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        raise RungError("this is no address of a database", VARIABLE, f"Write {_FIX}.") from None
    known = {"sslmode": {"disable", "require", "verify-full"}}
    wrong = [name for name, value in url.query.items() if value not in known.get(name, set())]
    if url.get_backend_name() != "postgresql" or not url.host or not url.database or wrong:
        raise RungError("it does not name a database of PostgreSQL", VARIABLE, f"Write {_FIX}.")
    return url


def open_shared(url: URL) -> Engine:
    """Return what connects to the database; nothing is opened yet. Raises MissingExtra without the driver."""
    try:
        import pg8000  # noqa: F401
    except ImportError:
        raise MissingExtra("a journal on PostgreSQL", "postgres", "pg8000") from None
    arguments: dict[str, Any] = {"timeout": _SOCKET, "application_name": "rung"}
    if (mode := url.query.get("sslmode", "disable")) != "disable":
        context = ssl.create_default_context()
        if mode == "require":
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        arguments["ssl_context"] = context
    plain = url.set(drivername="postgresql+pg8000", query={})
    engine = create_engine(
        plain, connect_args=arguments, pool_pre_ping=True, pool_size=4, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        for name, seconds in (
            ("lock_timeout", _LOCK),
            ("statement_timeout", _STATEMENT),
            ("idle_in_transaction_session_timeout", _IDLE),
        ):
            cursor.execute(f"SET {name} = '{seconds}s'")
        cursor.execute("SET synchronous_commit = on")
        connection.commit()
        cursor.close()

    return engine


@contextmanager
def writers_lock(connection: Connection) -> Iterator[None]:
    """Run a transaction that no other writer's overlaps, on any machine. The lock ends with it, or with the connection."""
    with connection.begin():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITERS})
        yield


class PostgresStorage(Storage):
    """A database that other servers write to as well."""

    def __init__(self, url: URL) -> None:
        self.name = str(url.set(password=None, query={}))
        self.engine = open_shared(url)

    def opened(self, connection: Connection) -> None:
        pass

    def transaction(self, connection: Connection) -> AbstractContextManager[None]:
        return writers_lock(connection)

    def creation(self, connection: Connection) -> AbstractContextManager[Any]:
        # Two servers that start together would both find no table.
        return writers_lock(connection)

    def damage(self) -> JournalError | None:
        return None

    def is_unavailable(self, error: BaseException) -> bool:
        return is_unavailable(error)

    def error(self, error: Any) -> JournalError:
        return postgres_error(error, self.name)

    def remove_erased(self) -> None:
        """Vacuum the tables with keys and inputs: their old rows stay in the files until then, and longer in copies of its log."""
        try:
            with self.engine.connect() as connection:
                own = connection.execution_options(isolation_level="AUTOCOMMIT")
                own.exec_driver_sql("SET statement_timeout = '300s'")
                own.exec_driver_sql("VACUUM subjects, predictions, feedback_answers")
                connection.invalidate()
        except DBAPIError as error:
            raise postgres_error(error, self.name) from None


def is_unavailable(error: BaseException) -> bool:
    """Return whether an error of the driver says that the database cannot be used now, rather than that a row is wrong."""
    if isinstance(error, OSError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = _state(error)
    return error.connection_invalidated or not state or state.startswith(_UNAVAILABLE)


def postgres_error(error: Any, name: str) -> JournalError:
    """Return what an error of PostgreSQL means, and what to do."""
    state = _state(error)
    if not state or state[:2] in {"08", "57"}:
        words = (
            "the database of the journal cannot be reached",
            "The server continues by itself once it answers.",
        )
    elif state.startswith("28") or state == "3D000":
        words = ("the database refuses the user, the password or the name", f"Correct {VARIABLE}.")
    elif state.startswith("42501"):
        words = ("the user may not do this in the database", "Let it own the database of the journal.")
    elif state.startswith("53"):
        words = (
            "the database has no room or no connection left",
            "Free some space, or allow more connections.",
        )
    elif state.startswith(("55", "40")):
        words = ("another server holds the journal", "Let it finish; the server continues by itself.")
    else:
        words = (f"the database reports an error ({state})", "See the log of the database.")
    made = JournalError(words[0], name, words[1])
    made.__cause__ = error
    return made


def _state(error: Any) -> str:
    """Return the SQLSTATE of an error, "" where the database did not answer."""
    own = getattr(error, "orig", error)
    facts = own.args[0] if getattr(own, "args", ()) else None
    return str(facts.get("C", "")) if isinstance(facts, dict) else ""
