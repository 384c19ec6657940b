"""`rung drift` from the build to the alarm: what ships, what is read of the journal, what is found, what is remembered."""

import json
import time
from types import SimpleNamespace

import numpy as np
import pytest

import rung
from rung.core.errors import RungError
from rung.core.spec.drift import DriftSpec
from rung.core.types import Field, Prediction, Schema
from rung.journal.encryption import MASTER_KEY_VARIABLE, new_master_key
from rung.journal.reader import JournalReader
from rung.journal.records import FeedbackRecord, new_id
from rung.journal.writer import Journal
from rung.monitoring.drift.reference import FILE_NAME, fit_prediction_reference, read_reference
from rung.monitoring.drift_monitor import DriftMonitor, allowed_error_rate, is_error, start_period
from rung.workflows.monitor import acknowledge, check_drift
from served_rows import TEXT, manifest, reference_of, row, write_rows

SPEC = DriftSpec()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "service"


@pytest.fixture
def journal(folder):
    journal = Journal(folder, "plain")
    yield journal
    journal.close()


def mixed(fresh_rows, most=120, seed=0):
    rows = [text for texts in fresh_rows.values() for text in texts[:most]]
    return [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]


def test_a_bundle_ships_a_small_reference_without_texts(built, news_rows):
    names = ("drift.json", "drift.safetensors")
    sealed = json.loads((built.bundle / "manifest.json").read_text())["files"]
    assert all(name in sealed for name in names)
    assert sum((built.bundle / name).stat().st_size for name in names) < 200_000
    text = (built.bundle / FILE_NAME).read_text(encoding="utf-8")
    for word in ("striker", "Blair", "Microsoft", "election"):
        assert word.lower() not in text.lower()
    reference = read_reference(built.bundle)
    # Counted rows did not make the bins: half of the training rows.
    assert 150 < reference.rows < len(news_rows) / 2 and sum(reference.counts["words"]) == reference.rows
    assert reference.predictions.rows > 300 and 0 < reference.predictions.n_errors < 100


def test_quiet_traffic_raises_no_alarm_and_other_texts_do(built, journal, folder, fresh_rows):
    write_rows(journal, built, mixed(fresh_rows))
    quiet = check_drift(built.bundle, folder).report
    assert not quiet["drifted"] and quiet["period"]["rows"] == 600
    assert {test["kind"] for test in quiet["tests"]} == {"input", "answers", "right"}
    from support import ROOT  # Chinese sentences of another product: a script that nobody trained on.

    text = (ROOT / "docs" / "howto" / "serve-in-production.zh.md").read_text(encoding="utf-8")
    write_rows(journal, built, [line for line in text.splitlines() if len(line) > 20][:30])
    loud = check_drift(built.bundle, folder).report
    assert loud["drifted"] and loud["period"]["rows"] > 600
    assert {"script:text", "words"} <= {alarm["key"] for alarm in loud["alarms"]}
    first = loud["tests"][0]
    assert first["alarmed"] and first["evidence"] >= first["needed"] == pytest.approx(
        np.log10(5 / 0.005), abs=1e-3
    )


def test_one_class_alone_is_drift_of_inputs_and_answers(built, journal, folder, fresh_rows):
    write_rows(journal, built, fresh_rows["sports"])
    found = check_drift(built.bundle, folder).report
    alarmed = {test["key"] for test in found["tests"] if test["alarmed"]}
    assert "share:sports" in alarmed and "topic" in alarmed
    share = next(test for test in found["tests"] if test["key"] == "share:sports")
    assert share["mean"] > 0.9 > share["high"]


def test_rows_are_looked_at_once_and_young_ones_are_waited_for(built, journal, folder, fresh_rows):
    write_rows(journal, built, fresh_rows["tech"][:50])
    assert check_drift(built.bundle, folder).report["period"]["rows"] == 50
    assert check_drift(built.bundle, folder).report["period"]["rows"] == 50
    # The youngest of these is one second old.
    write_rows(journal, built, fresh_rows["tech"][50:60], days=10 / 86_400)
    begun = time.monotonic()
    assert check_drift(built.bundle, folder, settled=3).report["period"]["rows"] == 60
    assert 0.5 < time.monotonic() - begun < 60


def test_acknowledging_begins_a_period_against_what_is_served(built, journal, folder, fresh_rows):
    write_rows(journal, built, fresh_rows["sports"][:100])
    assert check_drift(built.bundle, folder).report["drifted"]
    line = acknowledge(built.bundle, "ann", folder=folder)
    assert line["acknowledged_by"] == "ann" and "share:sports" in line["alarms"]
    write_rows(journal, built, fresh_rows["sports"][100:])
    after = check_drift(built.bundle, folder).report
    assert not after["drifted"] and after["period"]["number"] == 2 and after["period"]["rows"] == 100
    assert after["period"]["against"] == "served" and after["ended"] == [line]
    said = [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]
    assert said[-1]["action"] == "drift acknowledge" and said[-1]["actor"] == "ann"
    acknowledge(built.bundle, "ann", "training", folder)
    write_rows(journal, built, fresh_rows["sports"])
    assert check_drift(built.bundle, folder).report["drifted"]


def test_encrypted_inputs_are_read_with_the_key_and_counted_without(built, folder, fresh_rows, monkeypatch):
    monkeypatch.setenv(MASTER_KEY_VARIABLE, new_master_key())
    journal = Journal(folder)
    write_rows(journal, built, fresh_rows["tech"][:20])
    journal.close()
    model = rung.load(built.bundle).manifest
    with JournalReader.from_folder(folder) as reader:
        (rows,) = reader.predictions(model.name, model.version, "", time.time())
    assert rows[0].input["text"] == fresh_rows["tech"][0] and rows == sorted(rows, key=lambda row: row.id)
    monkeypatch.delenv(MASTER_KEY_VARIABLE)
    found = check_drift(built.bundle, folder).report
    assert found["without_input"] == {"locked": 20}
    rows_of = {test["key"]: test["rows"] for test in found["tests"]}
    assert rows_of["words"] == 0 and rows_of["answer"] == 20


def test_only_random_audits_judge_the_model(built, journal, folder, fresh_rows):
    made = write_rows(journal, built, mixed(fresh_rows)[:200])
    wrong = [FeedbackRecord(new_id(), time.time() - 60, r.id, '"nothing"', "user", "shop") for r in made]
    journal.write(*wrong)
    found = check_drift(built.bundle, folder).report
    assert found["feedback"] == {"audit": {"rows": 0, "right": 0}, "chosen": {"rows": 200, "right": 0}}
    assert not found["drifted"]
    audits = [
        FeedbackRecord(new_id(), time.time() - 50, r.id, '"nothing"', "audit", "rita") for r in made[:60]
    ]
    journal.write(*audits)
    found = check_drift(built.bundle, folder).report
    assert [alarm["key"] for alarm in found["alarms"]] == ["right"] and found["feedback"]["audit"][
        "rows"
    ] == 60
    assert check_drift(built.bundle, folder).report["tests"][0]["rows"] == 60


def test_what_is_missing_is_said(built, folder, tmp_path):
    with pytest.raises(RungError, match="there is no journal here"):
        check_drift(built.bundle, folder)
    with pytest.raises(RungError, match="does not name the folder of its journal"):
        check_drift(built.bundle)
    with pytest.raises(RungError, match="this bundle has no drift reference"):
        read_reference(tmp_path)


def test_repeats_count_once():
    texts = [f"ticket {i} about {'ships' if i % 3 else 'trees'} and {i * 7 % 11} sails" for i in range(200)]
    reference = reference_of(TEXT, {"text": texts}, ["a"] * 200, ["a"] * 200)
    watched = start_period(reference, manifest(TEXT), SPEC)
    monitor = DriftMonitor(watched, reference, manifest(TEXT), 0.01)
    monitor.add_predictions([row(i, {"text": "ships"}, hashed="7" * 32) for i in range(500)])
    assert watched.repeats == 499 and not any(item.alarm for item in watched.tests)


def test_of_a_table_each_column_and_the_cells_together_are_watched():
    rng = np.random.default_rng(0)
    schema = Schema(
        (Field("age", "number", "input"), Field("town", "category", "input"), Field("when", "time", "input")),
        (Field("label", "category", "output", ("a", "b")),),
    )

    def columns(n, shift=0.0, towns=("Rome", "Oslo", "Lima")):
        town = [None if i % 50 == 0 else towns[k] for i, k in enumerate(rng.integers(0, len(towns), n))]
        age = rng.normal(40 + shift, 10, n)
        return {"age": age, "town": town, "when": list(range(n))}

    reference = reference_of(schema, columns(1_000), ["a"] * 500, ["a"] * 450 + ["b"] * 50)
    assert reference.unmonitored == ["when"] and "Rome" not in json.dumps(reference.inputs.as_dict())

    def alarms(of):
        period = start_period(reference, manifest(schema), SPEC)
        labels = ["b" if k < 0.1 else "a" for k in rng.random(len(of["age"]))]
        rows = [
            row(i, dict(zip(of, cells, strict=True)), label)
            for i, (label, cells) in enumerate(zip(labels, zip(*of.values(), strict=True), strict=True))
        ]
        DriftMonitor(period, reference, manifest(schema), 0.01, repeats_are_copies=False).add_predictions(
            rows
        )
        return {item.key for item in period.tests if item.alarm}

    assert alarms(columns(400)) == set()
    assert {"value:age"} <= alarms(columns(200, shift=15))
    assert {"value:town", "cells"} <= alarms(columns(200, towns=("Rome", "Kyiv")))


def test_the_certificate_says_how_much_may_be_wrong():
    reference = reference_of(TEXT, {"text": ["x y"] * 40}, ["a"] * 100, ["a"] * 90 + ["b"] * 10)
    said = {"conditions": [{"metric": "accuracy", "bound": 0.8, "exact": True}]}
    assert allowed_error_rate(reference, manifest(TEXT, said), SPEC) == pytest.approx(0.2)
    assert 0.2 < allowed_error_rate(reference, manifest(TEXT), SPEC) < 0.35


def test_numbers_are_missed_when_they_are_further_off_than_most():
    from rung.core.types import Prediction
    from rung.monitoring.drift.reference import fit_prediction_reference
    from rung.monitoring.drift_monitor import is_error

    schema = Schema((Field("x", "number", "input"),), (Field("value", "number", "output"),))
    truths = np.random.default_rng(0).normal(size=400)
    answers = fit_prediction_reference(schema, truths.tolist(), [Prediction(0.0)] * 400)
    assert answers.rows == 200 and 5 < answers.n_errors < 40
    near, far = (SimpleNamespace(output={"value": value}, answer=1.0) for value in (1.1, 9.0))
    reference = SimpleNamespace(predictions=answers)
    assert not is_error(near, reference, "value") and is_error(far, reference, "value")


def test_sets_of_labels_are_watched_label_by_label_and_judged_as_sets():
    schema = Schema(
        (Field("text", "text", "input"),), (Field("labels", "labels", "output", ("art", "film")),)
    )
    truths = ['["art"]', '["art", "film"]', "[]", '["film"]']
    answers = [Prediction(value, 0.5) for value in ('["art"]', '["art"]', "[]", '["film"]')]
    found = fit_prediction_reference(schema, truths, answers)
    assert (
        found.label_counts == {"art": 2, "film": 1} and found.n_errors == 1 and found.value_bins.n_bins == 1
    )
    reference = SimpleNamespace(predictions=found)
    for answer, wrong in [("film; art", False), (["film", "art"], False), ("art", True), ([], True)]:
        feedback = SimpleNamespace(output={"labels": ["art", "film"]}, answer=answer)
        assert is_error(feedback, reference, "labels") is wrong
