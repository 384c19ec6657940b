"""What trains, what certifies, what is left out and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rung.core.errors import DataError
from rung.core.spec.product import Product
from rung.data.prepare.fingerprint import fingerprint_data
from rung.data.prepare.hashing import hash64
from rung.data.prepare.prepare import dataset_from

Prepare = Callable[..., Any]
ALL_TRAIN = {"fraction": 0.0}


def test_facts_and_tables(prepared: Prepare, table: str, rows: list[tuple[str, str]]) -> None:
    found = prepared(table)
    facts = found.facts
    assert facts["rows"] == facts["used"] == 80
    assert facts["train"] + facts["certification"] == 80
    assert facts["quarantined"] == {}
    assert facts["encoding"] == {"data.csv": "utf-8"}
    assert facts["split"]["by"] == "hash"
    assert sum(facts["labels"].values()) == facts["train"] == len(found.train)
    assert found.dataset.schema.labels == ("land", "sea")
    seen = {}
    for examples in (found.train, found.certification):
        assert list(examples.rows) == sorted(examples.rows)
        for row, text, label in zip(examples.rows, examples.inputs["text"], examples.targets, strict=True):
            seen[row] = (text, label)
    assert [seen[i] for i in range(1, 81)] == rows
    assert not (found.folder / "staged.parquet").exists()
    again = dataset_from(found.folder, json.loads(json.dumps(dict(facts))))
    assert again.schema == found.dataset.schema


def test_the_order_of_rows_is_kept_across_row_groups(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    whole = prepared(table, certify=ALL_TRAIN)
    monkeypatch.setattr("rung.data.prepare.parquet._ROWS", 7)
    pieces = prepared(table, certify=ALL_TRAIN)
    assert list(pieces.train.rows) == list(whole.train.rows) == list(range(1, 81))
    assert pieces.train.units == whole.train.units
    assert pieces.train.inputs == whole.train.inputs


def test_quarantine_names_file_row_hash_and_reason_but_no_text(prepared: Prepare, table: str) -> None:
    secret = "secret words of a customer"
    found = prepared(
        table + f"{secret},\n,land\n{secret},land,more\n{secret},sea\n{secret},sea\n", certify=ALL_TRAIN
    )
    wanted = [
        (81, "missing_target", "no label in 'label'"),
        (82, "empty_input", "no text in text"),
        (83, "malformed", "3 cells where the header has 2"),
        (85, "duplicate", "the same input stands in an earlier row"),
    ]
    assert [(q["row"], q["reason"], q["detail"]) for q in found.quarantine] == wanted
    assert all(set(q) == {"file", "row", "reason", "detail", "hash"} for q in found.quarantine)
    assert {q["file"] for q in found.quarantine} == {"data.csv"}
    assert all(len(q["hash"]) == 16 and int(q["hash"], 16) for q in found.quarantine)
    assert found.quarantine[-1]["hash"] == f"{hash64(secret):016x}"
    assert "secret" not in (found.folder / "quarantine.jsonl").read_text()
    assert found.facts["quarantined"] == {
        "duplicate": 1,
        "empty_input": 1,
        "malformed": 1,
        "missing_target": 1,
    }
    assert found.facts["rows"] == found.facts["used"] + len(found.quarantine)


def test_one_copy_of_a_duplicate_stays(prepared: Prepare, table: str) -> None:
    found = prepared(table + "Same   TEXT,sea\nsame text,sea\n\uff33ame text,sea\n", certify=ALL_TRAIN)
    assert [q["row"] for q in found.quarantine] == [82, 83]
    assert found.train.inputs["text"][-1] == "Same TEXT"


def test_one_text_under_two_labels_is_left_out_of_training(prepared: Prepare, table: str) -> None:
    found = prepared(table + "unclear,sea\nunclear,land\nunclear,sea\n", certify=ALL_TRAIN)
    assert [(q["row"], q["reason"]) for q in found.quarantine] == [
        (81, "contradictory_labels"),
        (82, "contradictory_labels"),
        (83, "contradictory_labels"),
    ]


def test_a_contradiction_among_certification_rows_keeps_the_first(
    prepared: Prepare, table: str, tmp_path: Path
) -> None:
    (tmp_path / "fresh.csv").write_text("text,label\nunclear,sea\nunclear,land\nclear,land\n")
    found = prepared(table, certify={"path": "fresh.csv"})
    assert list(found.certification.inputs["text"]) == ["unclear", "clear"]
    assert found.certification.targets == ["sea", "land"]
    assert [(q["file"], q["row"], q["reason"]) for q in found.quarantine] == [("fresh.csv", 2, "duplicate")]


def test_json_lines_with_missing_keys_and_odd_values(prepared: Prepare, rows: list[tuple[str, str]]) -> None:
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    lines += [
        '{"label": "sea"}',
        '{"text": "no label"}',
        '{"text": ["a"], "label": "sea"}',
        '{"text": "x", "label": {}}',
    ]
    lines += [
        '{"text": 12.5, "label": "sea"}',
        '{"text": true, "label": "sea"}',
        '{"text": NaN, "label": "sea"}',
    ]
    found = prepared("\n".join(lines), "data.jsonl", certify=ALL_TRAIN)
    assert [(q["row"], q["reason"], q["detail"]) for q in found.quarantine] == [
        (81, "empty_input", "no text in text"),
        (82, "missing_target", "no label in 'label'"),
        (83, "bad_input", "'text' holds a JSON list, not text"),
        (84, "missing_target", "no label in 'label'"),
        (87, "empty_input", "no text in text"),
    ]
    # As a served model reads them: the canonical text of the value.
    assert list(found.train.inputs["text"][-2:]) == ["12.5", "true"]


def test_labels_are_stripped_and_keep_their_case(prepared: Prepare, rows: list[tuple[str, str]]) -> None:
    wild = {"sea": ["  sea ", "SEA"], "land": ["🌳", "none"]}
    lines = [f"{text},{wild[label][i // 2 % 2]}\n" for i, (text, label) in enumerate(rows)]
    found = prepared("text,label\n" + "".join(lines), certify=ALL_TRAIN)
    assert set(found.facts["labels"]) == {"sea", "SEA", "🌳", "none"}


def test_several_inputs_and_prefixed_columns(prepared: Prepare, rows: list[tuple[str, str]]) -> None:
    lines = [f"{i},{text},,{label}\n" for i, (text, label) in enumerate(rows)]
    found = prepared(
        "row,text,unit,label\n" + "".join(lines), input=["text", "row", "unit"], certify=ALL_TRAIN
    )
    assert found.train.inputs["row"][:3] == ["0", "1", "2"]
    assert found.train.inputs["unit"][:2] == ["", ""]
    assert found.train.rows[:2] == [1, 2]


def test_a_folder_of_texts(prepared: Prepare, rows: list[tuple[str, str]], tmp_path: Path) -> None:
    for i, (text, label) in enumerate(rows):
        (tmp_path / "texts" / label).mkdir(parents=True, exist_ok=True)
        codec = "gb18030" if i == 3 else "utf-8"
        (tmp_path / "texts" / label / f"{i:03}.txt").write_bytes(f"{text} 关于轮船的票据".encode(codec))
    found = prepared(None, "texts", certify=ALL_TRAIN)
    assert found.facts["labels"] == {"land": 40, "sea": 40}
    assert found.quarantine == []


def test_certification_file_rows_never_train(prepared: Prepare, table: str, tmp_path: Path) -> None:
    (tmp_path / "fresh.csv").write_text("text,label\nTicket 0 about TREES,land\nnew one,sea\n")
    found = prepared(table, certify={"path": "fresh.csv"})
    assert list(found.certification.inputs["text"]) == ["Ticket 0 about TREES", "new one"]
    assert len(found.train) == 79
    assert [(q["file"], q["row"], q["reason"]) for q in found.quarantine] == [
        ("data.csv", 1, "also_in_certification")
    ]


def test_the_same_file_cannot_train_and_certify(prepared: Prepare, table: str) -> None:
    with pytest.raises(DataError) as caught:
        prepared(table, certify={"path": "data.csv"})
    assert str(caught.value) == (
        "data.csv: no row is left to train on: all that can be used (80) certify\n"
        "The certification file must hold other rows than the training data."
    )


def test_a_certification_file_without_usable_rows_is_refused(
    prepared: Prepare, table: str, tmp_path: Path
) -> None:
    (tmp_path / "fresh.csv").write_text("text,label\nnew one,\n")
    with pytest.raises(DataError, match="none of its rows can be used to certify"):
        prepared(table, certify={"path": "fresh.csv"})


def test_no_row_in_certification_is_refused_unless_asked_for(prepared: Prepare, table: str) -> None:
    with pytest.raises(DataError, match="rows fell to certification, so nothing could be certified"):
        prepared(table, certify={"fraction": 1e-9})
    assert "certification" not in prepared(table, certify=ALL_TRAIN).dataset.tables


def fingerprint(base: Path, path: str) -> str:
    data = {
        "task": "text_classification",
        "data": {"path": path},
        "bar": {"metric": "accuracy", "at_least": 0.9},
    }
    return fingerprint_data(Product.model_validate(data), base)


def test_the_fingerprint_follows_content_and_names(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.txt").write_text("one")
    with pytest.raises(DataError, match="no files in sub-folders"):
        fingerprint(tmp_path, "a")
    first = fingerprint(tmp_path, ".")
    assert fingerprint(tmp_path, ".") == first
    (tmp_path / "a" / "1.txt").rename(tmp_path / "a" / "2.txt")
    second = fingerprint(tmp_path, ".")
    (tmp_path / "a" / "2.txt").write_text("two")
    assert len({first, second, fingerprint(tmp_path, ".")}) == 3


def test_the_hash_of_a_text_is_fixed_for_good() -> None:
    # Another value would move rows from one side to the other in every product there is.
    assert hash64("ticket") == 2732153088381725527


FORMS = {
    "en": "the {0} ordered on {1} never came and the {2} keeps telling me to wait for another {3} days please help me out",
    "zh": "我在{1}订的{0}一直没有送到，{2}每次都让我再等{3}天，请尽快帮我处理一下这个问题",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_near_duplicates_of_certification_rows_do_not_train(
    prepared: Prepare, tmp_path: Path, form: str
) -> None:
    def fill(i: int, j: int, extra: str = "") -> str:
        # Seven words of its own a text, so that only the planted ones are alike.
        own = [f"{letter}{i * 7919 + k * 104729:x}{letter * 3}" for k, letter in enumerate("qzjxkvwy")]
        return form.format(*own[:4]) + " " + " ".join(own[4:] + own[::-1]) + extra

    fresh = [fill(i, 0) for i in range(40)]
    copies = [text.replace("please ", "").replace("请尽快", "请") for text in fresh[:15]]
    others = [fill(1_000 + i, 1) for i in range(60)]
    rows = [(text, "ab"[i % 2]) for i, text in enumerate(others + copies)]
    (tmp_path / "fresh.csv").write_text(
        "text,label\n" + "".join(f"{t},{'ab'[i % 2]}\n" for i, t in enumerate(fresh))
    )
    found = prepared("text,label\n" + "".join(f"{t},{y}\n" for t, y in rows), certify={"path": "fresh.csv"})
    left_out = [q["row"] for q in found.quarantine if q["reason"] == "near_duplicate"]
    assert left_out == list(range(61, 76)) and len(found.certification) == 40
    flipped = "".join(f"{t},{'ba'[i % 2]}\n" for i, (t, _) in enumerate(rows))
    (tmp_path / "certificate.lock").unlink()
    other = prepared("text,label\n" + flipped, certify={"path": "fresh.csv"})
    assert [(q["row"], q["reason"]) for q in other.quarantine] == [
        (q["row"], q["reason"]) for q in found.quarantine
    ]


def test_near_duplicates_change_no_side(prepared: Prepare, tmp_path: Path) -> None:
    """With copies of every text planted, the rows that certify are those a build without the rule would certify."""
    text = "a longer ticket {0} about the {1} of last week which came {2} and had to go back to {3} at once"
    rows = [text.format(i, f"thing{i}", f"late{i}", f"place{i}") for i in range(100)]
    rows += [row.replace(" at once", " now") for row in rows]
    table = "text,label\n" + "".join(f"{row},{'ab'[i % 2]}\n" for i, row in enumerate(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "rung.data.prepare.prepare.near_duplicate_rows", lambda *_: __import__("numpy").zeros(0, int)
        )
        before = prepared(table)
    (tmp_path / "certificate.lock").unlink()
    after = prepared(table)
    assert after.certification.rows == before.certification.rows
    assert set(after.train.rows) < set(before.train.rows)
    assert after.facts["quarantined"]["near_duplicate"] == len(before.train) - len(after.train)
