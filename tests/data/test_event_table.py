"""Tables of events become histories with what came later; what cannot be used is named."""

import pytest

from preparing import Prepared
from rung.core import registry
from rung.core.certificate_lock import CertificateLock
from rung.core.errors import DataError, SpecError
from rung.core.spec.product import parse_product
from rung.core.task import ColumnRoles
from rung.data.checks import checks
from rung.data.prepare.cast import with_inputs
from rung.data.prepare.fingerprint import fingerprint_data
from rung.data.prepare.prepare import dataset_from, prepare_once
from rung.data.profile.view import View
from rung.modalities.recommendation.catalogue import read_items
from rung.tasks.recommendation import Recommendation
from rung.workflows.check_spec import check_spec
from support import write_csv

SPEC = """name: shop
task: recommendation
data: {path: events.csv}
recommend: {user: user, item: item, time: time}
bar: {metric: lift@10, at_least: 0.0}
"""


def events(users=60, each=12, items=30):
    return [
        (f"u{u}", f"i{(u * 7 + n * (1 + u % 5)) % items}", 1_000_000 + u * 100 + n)
        for u in range(users)
        for n in range(each)
    ]


def prepared(tmp_path, rows, spec=SPEC, header=("user", "item", "time"), name="events.csv"):
    write_csv(tmp_path / name, list(header), rows)
    return prepare_product(tmp_path, spec)


def prepare_product(folder, spec):
    product = parse_product(spec)
    task = registry.task(product.task)
    product = with_inputs(product, folder, task)
    out = folder / "out"
    out.mkdir()
    lock, now = CertificateLock(folder / "certificate.lock"), fingerprint_data(product, folder)
    return Prepared(dataset_from(out, prepare_once(product, folder, task, lock, now, out)), out)


def reasons(found):
    return found.facts["quarantined"]


def test_histories_of_every_length_and_users_on_one_side(tmp_path):
    found = prepared(tmp_path, events())
    train, held = found.train, found.certification
    assert not set(train.units) & set(held.units)
    by_unit = {}
    for history, later, unit in zip(train.inputs["history"], train.targets, train.units, strict=True):
        by_unit.setdefault(unit, []).append([*history, *later])
        seen = {event[0] for event in history}
        assert later and not any(event[0] in seen for event in later)
        assert [event[1] for event in [*history, *later]] == sorted(event[1] for event in [*history, *later])
    lengths = sorted({len(history) for history in train.inputs["history"]})
    assert {1, 5} <= set(lengths) and max(lengths) < 12
    # However long the history is, a user's events are the same ones.
    assert all(all(one == own[0] for one in own) for own in by_unit.values())


def test_users_with_the_same_history_both_stay(tmp_path):
    rows = [
        (f"u{u}", item, n) for u in range(80) for n, item in enumerate(["a", "b", f"c{u % 9}", f"d{u % 7}"])
    ]
    found = prepared(tmp_path, rows)
    assert found.facts["quarantined"] == {}
    assert len(set(found.train.units)) + len(set(found.certification.units)) == 80


def test_what_cannot_be_used_is_named(tmp_path):
    rows = [
        *events(),
        ("u1", "", 5), ("", "i1", 5), ("u1", "i2", "soon"), ("u1", "i3", "2999-01-01"), ("u1", "i0", 9_000_000), ("once", "i1", 7),
    ]  # fmt: skip
    found = prepared(tmp_path, rows)
    assert reasons(found)["missing_id"] == 2
    assert reasons(found)["bad_time"] == 1 and reasons(found)["future_time"] == 1
    assert reasons(found)["single_event"] == 1 and reasons(found)["repeated_event"] >= 1
    assert {line["row"] for line in found.quarantine} >= {721, 722, 723, 724, 726}


def test_machines_are_left_out(tmp_path):
    fast = [("fast", f"i{n % 30}x{n}", 50_000 + n) for n in range(1_500)]
    same = [("same", "i1" if n else "i2", 60_000 + n * 9_000) for n in range(120)]
    found = prepared(tmp_path, [*events(), *fast, *same])
    assert reasons(found)["bot"] == 1_620


def test_a_file_out_of_order_gives_the_same_histories(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    rows = events()
    one, other = prepared(tmp_path / "a", rows), prepared(tmp_path / "b", rows[::-1])

    def as_set(found):
        return sorted(map(str, zip(found.train.inputs["history"], found.train.targets, strict=True)))

    assert as_set(one) == as_set(other)
    assert other.facts["settled"]["events_sorted"] > 0 and "events_sorted" not in one.facts["settled"]


def test_ids_are_texts(tmp_path):
    rows = [
        (u, item, n)
        for u, n, item in (
            (f"0{u}", n, item) for u in range(60) for n, item in enumerate(["007", "7", "7.0", f"{u % 9}"])
        )
    ]
    found = prepared(tmp_path, rows)
    ids = {event[0] for own in found.train.inputs["history"] for event in own}
    assert {"007", "7", "7.0"} <= ids


def test_ratings_and_kinds_weigh(tmp_path):
    spec = SPEC.replace("time: time}", "time: time, weight: rating, least_weight: 3}")
    rows = [(*row, n % 5 + 1) for n, row in enumerate(events())]
    found = prepared(tmp_path, rows + [("u1", "i29", 9, "good")], spec, ("user", "item", "time", "rating"))
    assert reasons(found)["low_weight"] == 288 and reasons(found)["bad_weight"] == 1
    weights = {event[2] for own in found.train.inputs["history"] for event in own}
    assert weights <= {3.0, 4.0, 5.0}


def test_kinds_of_events(tmp_path):
    spec = SPEC.replace("time: time}", "time: time, kind: event, kinds: {view: 1, buy: 5}}")
    rows = [(*row, ("view", "buy", "scroll")[n % 3]) for n, row in enumerate(events())]
    found = prepared(tmp_path, rows, spec, ("user", "item", "time", "event"))
    assert reasons(found)["other_kind"] == 240
    assert {event[2] for own in found.train.inputs["history"] for event in own} == {1.0, 5.0}


def test_one_item_is_nothing_to_rank(tmp_path):
    with pytest.raises(DataError) as caught:
        prepared(tmp_path, [(f"u{u}", "i1", u) for u in range(50)])
    assert "single_event" in str(caught.value) or "nothing to rank" in str(caught.value)


def test_items_are_read_once_and_said(tmp_path):
    write_csv(tmp_path / "items.csv", ["id", "title", "genres", "price", "stock"], [
        ("i1", "One", "a|b", "3.5", "yes"), ("i1", "again", "", "", ""), ("", "none", "", "", ""), ("new", "New", "c", "x", "no"),
    ])  # fmt: skip
    spec = SPEC.replace(
        "time: time}",
        "time: time, items: {path: items.csv, item: id, title: title, categories: genres, price: price, available: stock}}",
    )
    found = prepared(tmp_path, events(), spec)
    assert found.facts["items"] == {"items": 2, "left_out": {"repeated": 1, "unreadable": 1}}
    one, new = read_items(found.folder / "items.jsonl")
    assert one.categories == ("a", "b") and one.price == 3.5 and one.available
    assert new.price is None and not new.available


@pytest.mark.parametrize(
    "change,said",
    [
        ("user: user, item: user", "same column"),
        ("lengths: [0]", "1 or more"),
        ("kinds: {view: 1}", "names no column"),
        ("weight: time2, kind: event", "how much an event counts"),
        ("itms: x", "itms"),
    ],
)
def test_wrong_specs_are_said(change, said):
    with pytest.raises(SpecError) as caught:
        parse_product(SPEC.replace("user: user, item: item, time: time", change))
    assert said in str(caught.value)


def test_a_missing_column_is_said(tmp_path):
    with pytest.raises(DataError, match="no column 'item'"):
        prepared(tmp_path, [("u", "i", 1)], header=("user", "film", "time"))


def test_the_default_section_names_user_and_item():
    assert Recommendation().source_columns(ColumnRoles((), "later")) == ("user", "item")


def found_by(check, dataset, spec, folder):
    return checks()[check].check(View(parse_product(spec), folder, dataset))


def test_items_that_the_table_lacks_are_found(tmp_path):
    spec = SPEC.replace("time: time}", "time: time, items: {path: items.csv, item: id}}")
    write_csv(tmp_path / "items.csv", ["id"], [[f"i{n}"] for n in range(20)])
    finding = found_by("unlisted_items", prepared(tmp_path, events(), spec).dataset, spec, tmp_path)
    assert finding.level == "warn" and 0.2 < finding.values["share"] < 0.5 and finding.values["zeros"] == 0


def test_ids_that_lost_their_zeros_are_found(tmp_path):
    spec = SPEC.replace("time: time}", "time: time, items: {path: items.csv, item: id}}")
    write_csv(tmp_path / "items.csv", ["id"], [[f"00{n}"] for n in range(30)])
    rows = [(user, item[1:], when) for user, item, when in events()]
    finding = found_by("unlisted_items", prepared(tmp_path, rows, spec).dataset, spec, tmp_path)
    assert finding.level == "warn" and finding.values["zeros"] == finding.rows


def test_favourites_that_change_are_found(tmp_path):
    early = [(f"u{u}", f"old{(u + n) % 60}", 1_000 + n) for u in range(80) for n in range(16)]
    late = [(f"u{u}", f"new{(u + n) % 60}", 9_000 + n) for u in range(80) for n in range(4)]
    (tmp_path / "a").mkdir()
    finding = found_by(
        "popularity_drift", prepared(tmp_path / "a", early + late).dataset, SPEC, tmp_path / "a"
    )
    assert finding.values["shared"] == 0 and finding.level == "info"
    (tmp_path / "b").mkdir()
    steady = [(f"u{u}", f"i{(u * n) % 61}", 1_000 + n) for u in range(80) for n in range(20)]
    assert (
        found_by("popularity_drift", prepared(tmp_path / "b", steady).dataset, SPEC, tmp_path / "b") is None
    )


def test_without_a_section_users_still_stay_on_one_side(tmp_path):
    spec = SPEC.replace("recommend: {user: user, item: item, time: time}\n", "")
    found = prepared(tmp_path, events(), spec)
    assert not set(found.train.units) & set(found.certification.units)
    assert 30 < len(set(found.train.units)) < 60 and len(found.train) > 2 * len(set(found.train.units))


def test_a_section_of_events_needs_a_task_that_reads_them(tmp_path):
    write_csv(tmp_path / "events.csv", ["user", "item", "time"], events())
    spec = SPEC.replace("task: recommendation", "task: tabular_classification").replace("lift@10", "accuracy")
    product = parse_product(
        spec.replace("data: {path: events.csv}", "data: {path: events.csv, target: item}")
    )
    with pytest.raises(SpecError, match="does not use it"):
        check_spec(product, registry.task(product.task), tmp_path)
