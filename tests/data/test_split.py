"""A unit has one side for ever; what is frozen cannot be changed into rows that have been seen."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.core.certificate_lock import CertificateLock
from rung.core.errors import DataError, RunError
from rung.core.spec.product import Product
from rung.data.prepare.hashing import hash64
from rung.data.prepare.split import CERTIFICATION, TRAIN, Keys, decide, freeze
from rung.modalities.tables.moments import parse_time

Prepare = Callable[..., Any]


def product(certify: dict[str, Any] | None = None, **data: Any) -> Product:
    return Product.model_validate(
        {
            "task": "text_classification",
            "data": {"path": "data.csv", **data},
            "bar": {"metric": "accuracy", "at_least": 0.9},
            "certify": certify or {},
        }
    )


def keys_of(rows: list[tuple[int, int, int]], own: bool = False) -> Keys:
    """Return the keys of rows (text, group or -1, target)."""
    text = [hash64(f"text {text}") for text, _, _ in rows]
    unit = [hash64(f"group:{group}") if group >= 0 else text[i] for i, (_, group, _) in enumerate(rows)]
    return Keys(
        np.array(text, np.uint64),
        np.array(unit, np.uint64),
        np.array([target for _, _, target in rows], np.int64),
        np.zeros(len(rows)),
        np.full(len(rows), own),
    )


ROWS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(-1, 12), st.integers(0, 2)), min_size=1, max_size=80
)


@settings(max_examples=80, deadline=None)
@given(first=ROWS, more=ROWS, grouped=st.booleans())
def test_a_unit_never_changes_sides_when_data_is_added(
    first: list[tuple[int, int, int]], more: list[tuple[int, int, int]], grouped: bool
) -> None:
    if not grouped:
        first, more = [(t, -1, y) for t, _, y in first], [(t, -1, y) for t, _, y in more]
    spec = product(group="customer") if grouped else product()
    with tempfile.TemporaryDirectory() as folder:
        lock = CertificateLock(Path(folder) / "certificate.lock")
        before = decide(keys_of(first), spec, Path(folder), lock)
        freeze(before, lock)
        mixed = [row for pair in zip(first, more, strict=False) for row in pair] + first + more
        after = decide(keys_of(mixed), spec, Path(folder), lock)
    old, new = keys_of(first), keys_of(mixed)
    trained, certified = set(old.unit[before.side == TRAIN]), set(old.unit[before.side == CERTIFICATION])
    now_trains, now_certifies = set(new.unit[after.side == TRAIN]), set(new.unit[after.side == CERTIFICATION])
    assert not trained & now_certifies
    assert not certified & now_trains
    # No unit and no text on both sides, and no text twice on one.
    assert not now_trains & now_certifies
    for side in (TRAIN, CERTIFICATION):
        texts = new.text_hash[after.side == side].tolist()
        assert len(texts) == len(set(texts))
        assert not set(texts) & set(new.text_hash[after.side == 1 - side].tolist())


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, seed=st.integers(0, 9))
def test_labels_never_decide_the_side(rows: list[tuple[int, int, int]], seed: int) -> None:
    spec, base = product(group="customer"), Path()
    other = [(text, group, (target + seed) % 3) for text, group, target in rows]
    with tempfile.TemporaryDirectory() as folder:
        lock = CertificateLock(Path(folder) / "certificate.lock")
        one, two = (decide(keys_of(some), spec, base, lock) for some in (rows, other))
    assert ((one.side == CERTIFICATION) == (two.side == CERTIFICATION)).all()


@pytest.mark.parametrize(("n", "share"), [(100, 0.3), (2_000, 0.2), (50_000, 0.1)])
def test_the_share_depends_on_the_size(tmp_path: Path, n: int, share: float) -> None:
    lock = CertificateLock(tmp_path / "certificate.lock")
    sides = decide(keys_of([(i, -1, 0) for i in range(n)]), product(), tmp_path, lock)
    assert sides.rule["fraction"] == share
    assert abs((sides.side == CERTIFICATION).mean() - share) < 4 * (share * (1 - share) / n) ** 0.5


def test_groups_stay_together(prepared: Prepare) -> None:
    lines = [f"text {i},{'ab'[i % 2]},customer {i % 40}\n" for i in range(400)]
    lines += [f"alone {i},{'ab'[i % 2]}, \n" for i in range(100)]
    found = prepared("text,label,customer\n" + "".join(lines), group="customer")
    assert not set(found.train.units) & set(found.certification.units)
    assert len({*found.train.units, *found.certification.units}) == 140


def test_later_rows_certify_and_the_cutoff_is_frozen(prepared: Prepare, tmp_path: Path) -> None:
    def table(last: int) -> str:
        days = [f"text {i},{'ab'[i % 2]},2024-{i // 28 + 1:02}-{i % 28 + 1:02}\n" for i in range(last)]
        return "text,label,day\n" + "".join(days)

    first = prepared(table(200), time="day")
    rule = first.facts["split"]
    assert rule["by"] == "time"
    assert max(first.train.times) < rule["cutoff"] <= min(first.certification.times)
    second = prepared(table(300), time="day")
    assert second.facts["split"] == rule
    assert list(second.train.rows) == list(first.train.rows)
    assert json.loads((tmp_path / "certificate.lock").read_text())["splits"] == {"data.csv -> label": rule}


def test_rows_without_a_time_are_left_out(prepared: Prepare) -> None:
    lines = [f"text {i},{'ab'[i % 2]},{i if i != 5 else 'soon'}\n" for i in range(60)]
    found = prepared("text,label,day\n" + "".join(lines), time="day")
    assert [(q["row"], q["reason"], q["detail"]) for q in found.quarantine] == [
        (6, "bad_time", "not a date or number")
    ]


def test_the_same_time_everywhere_is_refused(prepared: Prepare) -> None:
    with pytest.raises(DataError, match="all rows have the same time"):
        prepared(
            "text,label,day\n" + "".join(f"t {i},{'ab'[i % 2]},2024-01-01\n" for i in range(60)), time="day"
        )


def test_the_fraction_is_frozen(prepared: Prepare, table: str) -> None:
    first = prepared(table, certify={"fraction": 0.25})
    grown = table + "".join(f"more {i},{'sea' if i % 3 else 'land'}\n" for i in range(3_000))
    assert prepared(grown).facts["split"] == first.facts["split"]
    smaller = prepared(table, certify={"fraction": 0.1})
    assert set(smaller.certification.units) < set(first.certification.units)
    with pytest.raises(RunError) as caught:
        prepared(table, certify={"fraction": 0.5})
    assert str(caught.value) == (
        "certificate.lock: `certify.fraction` was 0.1 in an earlier build: rows whose scores you may have read "
        "would certify\nGo back to the old setting, or certify on fresh rows: `certify: {path: fresh.csv}`."
    )


def test_another_rule_is_refused(prepared: Prepare) -> None:
    table = "text,label,day,customer\n" + "".join(f"t {i},{'ab'[i % 2]},{i},{i % 30}\n" for i in range(90))
    prepared(table)
    with pytest.raises(RunError, match="`data.group` was not set in an earlier build"):
        prepared(table, group="customer")
    with pytest.raises(RunError, match="`data.time` was not set in an earlier build"):
        prepared(table, time="day")


def test_rows_that_all_trained_never_certify(prepared: Prepare, table: str, tmp_path: Path) -> None:
    prepared(table)
    prepared(table, certify={"fraction": 0.0})
    with pytest.raises(RunError) as caught:
        prepared(table)
    assert str(caught.value) == (
        "certificate.lock: an earlier build trained on all these rows: their scores may have been read, so none "
        "can certify\nCertify on fresh rows: `certify: {path: fresh.csv}`."
    )
    (tmp_path / "fresh.csv").write_text("text,label\nnew,sea\n")
    assert prepared(table, certify={"path": "fresh.csv"}).facts["split"] == {
        "by": "file",
        "path": "fresh.csv",
    }


def test_data_that_cannot_make_a_model_freezes_nothing(prepared: Prepare, table: str, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        prepared("text,label\none,a\ntwo,b\n")
    assert not (tmp_path / "certificate.lock").exists()
    assert prepared(table).facts["split"]["by"] == "hash"


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        ("1970-01-02", 86_400.0),
        ("1970/01/02", 86_400.0),
        ("1970-01-01T01:00:00+01:00", 0.0),
        ("1970-01-01 00:00:01.5", 1.5),
        (" 12.5 ", 12.5),
        (7, 7.0),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
        (["1970-01-02"], None),
    ],
)
def test_times(raw: Any, seconds: float | None) -> None:
    assert parse_time(raw) == seconds
