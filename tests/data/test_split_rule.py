"""The frozen split: rows whose scores somebody may have read never certify later, by whatever door they come."""

import numpy as np
import pytest

from rung.core.certificate_lock import CertificateLock
from rung.core.errors import RunError
from rung.core.spec.product import Product
from rung.data.prepare.split import CERTIFICATION, TRAIN, Keys, decide, freeze

UNITS = np.random.default_rng(0).integers(0, 2**64, 1_000, dtype=np.uint64)


@pytest.fixture
def lock(tmp_path):
    return CertificateLock(tmp_path / "certificate.lock")


def keys(n=1_000, **changed):
    columns = {
        "text_hash": UNITS[:n],
        "unit": UNITS[:n],
        "target": np.zeros(n, np.int64),
        "when": np.arange(n, dtype=np.float64),
        "own": np.zeros(n, bool),
    }
    return Keys(**(columns | changed))


def product(data=None, **certify):
    spec = {"path": "a.csv", "input": "text", "target": "label", **(data or {})}
    bar = {"metric": "accuracy", "at_least": 0.9}
    return Product.model_validate(
        {"task": "text_classification", "data": spec, "bar": bar, "certify": certify}
    )


def sides(lock, tmp_path, found=None, data=None, **certify):
    decided = decide(found or keys(), product(data, **certify), tmp_path, lock)
    freeze(decided, lock)
    return decided.side


def certified(side):
    return set(np.flatnonzero(side == CERTIFICATION).tolist())


def test_a_row_keeps_its_side_when_rows_are_added(lock, tmp_path):
    before = sides(lock, tmp_path, keys(600))
    after = sides(lock, tmp_path)
    assert (after[:600] == before).all()
    assert len(certified(before)) == pytest.approx(180, abs=40)


def test_rows_that_trained_do_not_come_back_to_certify(lock, tmp_path):
    wide = certified(sides(lock, tmp_path, fraction=0.3))
    narrow = certified(sides(lock, tmp_path, fraction=0.1))
    assert narrow < wide
    with pytest.raises(RunError, match="`certify.fraction` was 0.1 in an earlier build"):
        sides(lock, tmp_path, fraction=0.3)
    assert certified(sides(lock, tmp_path)) == narrow


@pytest.mark.parametrize("first", [{"fraction": 0.0}, {"path": "audit.csv"}])
def test_after_all_rows_trained_none_certifies(lock, tmp_path, first):
    assert (sides(lock, tmp_path, **first) == TRAIN).all()
    for later in ({}, {"fraction": 0.2}):
        with pytest.raises(RunError, match="an earlier build trained on all these rows") as caught:
            sides(lock, tmp_path, **later)
        assert "certify: {path: fresh.csv}" in caught.value.fix
    assert (sides(lock, tmp_path, **first) == TRAIN).all()


def test_held_out_rows_that_went_to_training_stay_there(lock, tmp_path):
    sides(lock, tmp_path)
    sides(lock, tmp_path, path="audit.csv")
    with pytest.raises(RunError, match="trained on all these rows"):
        sides(lock, tmp_path)


@pytest.mark.parametrize("certify", [{}, {"path": "audit.csv"}])
@pytest.mark.parametrize(
    ("data", "key"), [({"input": ["text", "title"]}, "data.input"), ({"group": "customer"}, "data.group")]
)
def test_other_columns_would_make_other_units_of_the_same_rows(lock, tmp_path, certify, data, key):
    sides(lock, tmp_path, **certify)
    with pytest.raises(RunError, match=f"`{key}` was"):
        sides(lock, tmp_path, data=data, **certify)
    # Within groups the inputs make no unit, so they may change.
    other = CertificateLock(tmp_path / "other.lock")
    grouped = {"group": "customer"}
    assert certified(sides(other, tmp_path, data=grouped)) == certified(
        sides(other, tmp_path, data=grouped | {"input": ["text", "title"]})
    )


def test_certification_rows_are_chosen_without_their_labels(lock, tmp_path):
    # Ten texts, each a hundred times under two labels, and one of them under one.
    text = UNITS[np.arange(1_000) % 10]
    labels = np.arange(1_000) % 3
    before = sides(lock, tmp_path, keys(text_hash=text, unit=text, target=labels), fraction=0.5)
    swapped = np.where(before == CERTIFICATION, 2 - labels, labels)
    after = sides(lock, tmp_path, keys(text_hash=text, unit=text, target=swapped), fraction=0.5)
    assert (before == after).all() and certified(before)


def test_no_training_row_shares_a_text_or_unit_with_a_certification_row(lock, tmp_path):
    rng = np.random.default_rng(1)
    text, unit = UNITS[rng.integers(0, 300, 1_000)], UNITS[rng.integers(300, 340, 1_000)]
    found = keys(text_hash=text, unit=unit)
    over_time = {"group": "customer", "time": "day", "path": "b.csv"}
    for data, certify in (({"group": "customer"}, {}), (over_time, {"groups": "new"})):
        side = sides(lock, tmp_path, found, data=data, **certify)
        trains, certifies = side == TRAIN, side == CERTIFICATION
        assert certifies.any()
        assert not set(text[trains]) & set(text[certifies])
        assert not set(unit[trains]) & set(unit[certifies])
        assert len(set(text[certifies])) == certifies.sum()
