"""Columns that rows share and columns of dates are suggested with a reason; nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from rung.core.task import ColumnProfile
from rung.data.profile.columns import profile
from rung.data.profile.roles import suggest_group, suggest_time
from rung.data.sources.read import open_source
from support import write_csv


def columns(tmp_path: Path, header: list[str], rows: list[list[str]]) -> list[ColumnProfile]:
    return profile(open_source(write_csv(tmp_path / "a.csv", header, rows)))[0]


@pytest.mark.parametrize(
    ("name", "value", "suggested"),
    [
        ("customer_id", lambda i: str(i % 20), True),
        ("author", lambda i: f"Person {chr(65 + i % 20)}", True),
        ("ref", lambda i: f"C-{i % 25:04d}", True),
        ("用户", lambda i: f"用户{i % 25}", True),
        ("id", lambda i: str(i), False),
        ("price", lambda i: str(i % 30), False),
        ("paid", lambda i: str(i % 2), False),
        ("city", lambda i: ["Bern", "Wien", "Rom", "Oslo"][i % 4], False),
        ("day", lambda i: f"2024-01-{1 + i % 20:02d}", False),
    ],
)
def test_group(tmp_path: Path, name: str, value: object, suggested: bool) -> None:
    found = suggest_group(columns(tmp_path, [name], [[value(i)] for i in range(100)]))  # type: ignore[operator]
    assert (found is not None) == suggested
    if found:
        assert found.column == name and "rows each on average" in found.reason


@pytest.mark.parametrize(
    ("value", "suggested"),
    [("2024-01-{:02d}", True), ("2024/01/{:02d}", True), ("2024-01-{:02d}T10:00:00", True), ("{}", False), ("x{}", False)],
)  # fmt: skip
def test_time(tmp_path: Path, value: str, suggested: bool) -> None:
    found = suggest_time(columns(tmp_path, ["at"], [[value.format(1 + i % 28)] for i in range(100)]))
    assert (found is not None) == suggested
    if found:
        assert found.column == "at" and found.reason.startswith("holds dates, such as '2024")
