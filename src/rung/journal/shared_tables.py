"""Tables beside a shared journal: the files of the service folder that all servers follow, and the buckets of their rate limits."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, LargeBinary, MetaData, Table, Text

SHARED = MetaData()

FILES = Table(
    "service_files",
    SHARED,
    Column("name", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("version", BigInteger, nullable=False),
)

# tokens: as many as there were at the moment `at`, by the clock of the database.
BUCKETS = Table(
    "rate_limits",
    SHARED,
    Column("key", Text, primary_key=True),
    Column("tokens", Float, nullable=False),
    Column("at", Float, nullable=False),
)
