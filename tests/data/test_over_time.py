"""Groups over time: earlier rows train, later ones certify; nothing of one group decides on another's rows."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.core.certificate_lock import CertificateLock
from rung.core.errors import DataError, RunError
from rung.core.spec.product import Product
from rung.core.types import Row
from rung.data.prepare import over_time
from rung.data.prepare.keys import CERTIFICATION, CROSSES_CUTOFF, REPEATS_EARLIER, TRAIN, TRAINED, Keys
from rung.data.prepare.split import decide, freeze
from rung.tasks.text_classification import TextClassification

HASHES = np.random.default_rng(0).integers(0, 2**64, 5_000, dtype=np.uint64)
GROUPED = {"group": "customer", "time": "day"}


@pytest.fixture
def lock(tmp_path):
    return CertificateLock(tmp_path / "certificate.lock")


def keys(n=1_200, groups=40, **changed):
    """Rows of `groups` groups in turn, one a moment, each with its own text."""
    columns = {
        "text_hash": HASHES[1_000 : 1_000 + n],
        "unit": HASHES[np.arange(n) % groups],
        "target": np.arange(n) % 3,
        "when": np.arange(n, dtype=np.float64),
        "own": np.zeros(n, bool),
    }
    return Keys(**(columns | changed))


def product(data=None, **certify):
    spec = {"path": "a.csv", "input": "text", "target": "label", **(GROUPED if data is None else data)}
    bar = {"metric": "accuracy", "at_least": 0.9}
    return Product.model_validate(
        {"task": "text_classification", "data": spec, "bar": bar, "certify": certify}
    )


def split(lock, found=None, data=None, copies=True, unit="row", **certify):
    decided = decide(found or keys(), product(data, **certify), lock.path.parent, lock, copies, unit)
    freeze(decided, lock)
    return decided


def test_every_group_trains_with_its_past_and_certifies_with_its_last_stretch(lock):
    found = split(lock)
    k, side = keys(), found.side
    assert found.rule["groups"] == "same" and found.rule["fraction"] == pytest.approx(0.3)
    assert set(k.unit[side == TRAIN]) == set(k.unit[side == CERTIFICATION]) == set(k.unit)
    assert (side == TRAIN).sum() > 800 and (side == CERTIFICATION).sum() == 360
    assert k.when[side == TRAIN].max() < found.rule["cutoff"] <= k.when[side == CERTIFICATION].min()


def test_rows_keep_their_side_when_later_ones_come(lock):
    before, after = split(lock, keys(900)), split(lock, keys(1_200))
    assert (after.side[:900] == before.side).all() and (after.side[900:] == CERTIFICATION).all()
    assert after.rule == before.rule


def test_new_groups_alone_certify_where_that_is_asked(lock):
    k = keys(
        unit=HASHES[np.where(np.arange(1_200) < 1_000, np.arange(1_200) % 40, 50 + np.arange(1_200) % 5)]
    )
    side = split(lock, k, groups="new").side
    trains, certifies = set(k.unit[side == TRAIN]), set(k.unit[side == CERTIFICATION])
    assert certifies and not trains & certifies


def test_a_lock_of_version_0_1_keeps_its_rule(lock):
    old = split(lock, groups="new")
    content = json.loads(lock.path.read_text())
    assert "groups" not in content["splits"]["a.csv -> label"]
    again = split(lock)
    assert again.rule == old.rule and (again.side == old.side).all()
    with pytest.raises(RunError, match="`certify.groups` was new in an earlier build"):
        split(lock, groups="same")


def test_the_policy_is_frozen(lock):
    split(lock)
    with pytest.raises(RunError, match="`certify.groups` was same in an earlier build"):
        split(lock, groups="new")
    assert split(lock, groups="same").rule == split(lock).rule


@pytest.mark.parametrize("data", [{}, {"group": "customer"}, {"time": "day"}])
def test_the_key_needs_groups_and_times(lock, data):
    with pytest.raises(DataError, match="speaks of groups over time"):
        split(lock, data=data, groups="same")


def test_a_row_that_repeats_an_earlier_one_does_not_certify(lock):
    k = keys()
    text = k.text_hash.copy()
    text[1_100] = text[5]  # Another group's past.
    text[1_101] = text[1_141] = text[1_150]  # Twice in one group's last stretch, once in another's.
    found = split(lock, keys(text_hash=text))
    assert found.side[5] == TRAIN
    assert found.side[[1_100, 1_101, 1_141, 1_150]].tolist() == [
        REPEATS_EARLIER,
        CERTIFICATION,
        -1,
        CERTIFICATION,
    ]
    # Cases that happen to agree all count.
    assert (
        split(CertificateLock(lock.path.with_name("b")), keys(text_hash=text), copies=False).side >= 0
    ).all()


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 4), st.integers(0, 40)), min_size=10, max_size=80
    ),
    other=st.lists(st.integers(0, 20), min_size=80, max_size=80),
    copies=st.booleans(),
)
def test_what_other_groups_ask_later_decides_nothing(tmp_path_factory, rows, other, copies):
    lock = CertificateLock(tmp_path_factory.mktemp("lock") / "certificate.lock")
    text, unit, when = (np.array(column) for column in zip(*rows, strict=True))
    when = np.concatenate([when, [0, 40]]).astype(float)
    text, unit = np.append(text, [0, 1]), np.append(unit, [0, 0])

    def sides(text):
        n = len(text)
        k = Keys(HASHES[text], HASHES[100 + unit], np.zeros(n, np.int64), when, np.zeros(n, bool))
        return decide(k, product(fraction=0.4), lock.path.parent, lock, copies)

    before = sides(text)
    later = when >= before.rule["cutoff"]
    changed = np.where(later & (unit > 0), np.array(other + [0, 0])[: len(text)], text)
    kept = (unit == 0) | ~later
    assert (sides(changed).side[kept] == before.side[kept]).all()


def test_spans_across_the_cutoff_are_left_out(lock):
    k = keys(start=np.arange(1_200, dtype=np.float64) - 100)
    found = split(lock, k)
    cutoff = found.rule["cutoff"]
    crosses = found.side == CROSSES_CUTOFF
    assert crosses.sum() == 100
    assert k.when[found.side == TRAIN].max() < cutoff <= k.start[found.side == CERTIFICATION].min()
    assert found.reason(int(np.flatnonzero(crosses)[0])).startswith("crosses_cutoff: ")


def test_rows_that_trained_never_certify_under_another_name(lock):
    first = split(lock, fraction=0.1)
    renamed = split(lock, data={**GROUPED, "path": "b.csv"}, fraction=0.6)
    both = (first.side == TRAIN) & (keys().when >= renamed.rule["cutoff"])
    assert both.any() and (renamed.side[both] == TRAINED).all()
    assert (renamed.side == CERTIFICATION).sum() == (first.side == CERTIFICATION).sum()


def test_groups_whose_past_trained_are_not_new_under_another_name(lock):
    split(lock)
    with_news = keys(unit=HASHES[np.where(np.arange(1_200) < 1_150, np.arange(1_200) % 40, 60)])
    strict = split(lock, with_news, data={**GROUPED, "path": "b.csv"}, groups="new")
    assert set(with_news.unit[strict.side == CERTIFICATION]) == {HASHES[60]}


def test_groups_that_trained_as_a_whole_do_not_certify_later(lock):
    hashed = split(lock, data={"group": "customer"})
    whole = set(keys().unit[hashed.side == TRAIN])
    later = split(lock, data={**GROUPED, "path": "b.csv"})
    assert whole and not whole & set(keys().unit[later.side == CERTIFICATION])


def one_series(n=600, window=10.0):
    when = np.arange(n, dtype=np.float64)
    return keys(n, unit=HASHES[1_000 : 1_000 + n], start=when - window)


def test_windows_of_one_series_count_in_blocks(lock):
    k = one_series()
    found = split(lock, k, data={"time": "day"}, unit="series")
    assert (found.rule["units"], found.rule["block"]) == ("blocks", 10.0)
    units = over_time.resampling_units(k, found.rule, "a")
    certifies = found.side == CERTIFICATION
    assert len(np.unique(units[certifies])) == pytest.approx(certifies.sum() / 10, abs=1)
    # A block is made of neighbours, and another product has others.
    assert (np.diff(np.flatnonzero(units == units[-1])) == 1).all()
    assert not set(units) & set(over_time.resampling_units(k, found.rule, "b"))
    over_time.require_blocks(units[:400], found.rule, "a.csv")
    with pytest.raises(
        DataError, match="its last stretch holds 4 windows that do not overlap: a bound takes 20"
    ):
        over_time.require_blocks(units[:31], found.rule, "a.csv")


def test_rows_of_one_series_without_windows_count_in_blocks_too(lock):
    found = split(lock, keys(unit=HASHES[1_000:2_200]), data={"time": "day"}, unit="series")
    assert found.rule["block"] == pytest.approx(1_199 * 1_200 ** (-2 / 3))


def test_one_series_that_cannot_certify_says_why(lock):
    with pytest.raises(DataError, match="no time is named"):
        split(lock, one_series(), data={}, unit="series")
    with pytest.raises(DataError, match="rows of a single series are not independent"):
        split(lock, one_series(), data={"time": "day"}, unit="series", path="mine.csv")
    # Several series are groups like any.
    grouped = keys(start=np.arange(1_200, dtype=np.float64) - 10)
    assert "units" not in split(lock, grouped, unit="series").rule


class Windows(TextClassification):
    """Each text with the one before it: a row covers the time of both."""

    def reshape(self, rows, columns):
        last = None
        for row in rows:
            if last is not None:
                text = f"{last.values['text']} {row.values['text']}"
                span = (last.values["day"], row.values["day"])
                yield Row(row.file, row.number, {**row.values, "text": text}, span=span)
            last = row


def test_spans_reach_the_tables(prepared):
    table = "text,label,day\n" + "".join(f"word{i},{'ab'[i % 2]},{i}\n" for i in range(200))
    found = prepared(table, task=Windows(), time="day")
    assert found.facts["split"]["units"] == "blocks" and found.facts["split"]["block"] == 1.0
    assert all(end - begin == 1.0 for begin, end in zip(found.train.starts, found.train.times, strict=True))
    cutoff = found.facts["split"]["cutoff"]
    assert max(found.train.times) < cutoff <= min(found.certification.starts)
    assert found.facts["quarantined"] == {"crosses_cutoff": 1}
    taken = found.train.take([3, 5])
    assert list(taken.starts) == [found.train.starts[3], found.train.starts[5]]


def test_groups_over_time_in_a_table(prepared):
    table = "text,label,day,customer\n" + "".join(
        f"word{i},{'ab'[i % 2]},2024-{i // 100 + 1:02}-{i // 4 % 25 + 1:02},c{i % 40}\n" for i in range(1_200)
    )
    found = prepared(table, **GROUPED)
    assert set(found.train.units) == set(found.certification.units) and len(set(found.train.units)) == 40
    groups = found.facts["groups"]
    assert (groups["certify"], groups["new"], groups["ungrouped_train"]) == (40, 0, 0)
    assert found.facts["train"] > 700


def test_a_row_that_nearly_repeats_an_earlier_one_does_not_certify(prepared):
    words = [
        f"{a}{b}"
        for a in ("ship", "tree", "rain", "coin", "lamp")
        for b in ("yard", "line", "fall", "mark", "side", "work")
    ]
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words, 25)) for _ in range(300)]
    texts[290] = texts[3] + " indeed"  # Another customer's past.
    texts[291] = texts[292] + " indeed"  # Nearly the same twice, both later: both count.
    lines = [f"{text},{'ab'[i % 2]},{i},c{i % 20}\n" for i, text in enumerate(texts)]
    found = prepared("text,label,day,customer\n" + "".join(lines), **GROUPED)
    assert [(q["row"], q["reason"]) for q in found.quarantine] == [(291, "repeats_earlier")]
    assert {4} <= set(found.train.rows) and {292, 293} <= set(found.certification.rows)
