"""A product that answers with numbers is reviewed on the page's requests and by CSV, and has whole audit rounds to improve by."""

import csv

import pytest
from fastapi.testclient import TestClient
from sklearn.datasets import load_diabetes

import rung
from rung.annotation.app import create_labelling_app
from rung.annotation.csv_io import export_rows, import_labels
from rung.core.errors import DataError, InputError
from rung.journal.encryption import MASTER_KEY_VARIABLE, new_master_key
from rung.workflows.improve import improve
from rung.workflows.review import open_review
from served_products import remember
from support import write_csv

SPEC = """name: progress
task: tabular_regression
data: {path: rows.csv, target: progression}
bar: {metric: "within:10%", at_least: 0.01}
budget: {effort: 0, threads: 1}
ladder: [linear_table]
improve: {audit_rows: 20, audit_share: 0.4, min_feedback: 10, overlap: 0.5, margin: 0.3}
"""


@pytest.fixture(scope="module")
def rows():
    found = load_diabetes(as_frame=True, scaled=False).frame
    names = [*found.columns[:-1], "progression"]
    return names, [[float(cell) for cell in row] for row in found.itertuples(index=False)]


def key_of(cells, names):
    return tuple(f"{float(cells[name]):.6g}" for name in names[:-1])


def test_numbers_are_reviewed(rows, tmp_path, monkeypatch):
    names, table = rows
    write_csv(tmp_path / "rows.csv", names, table[:300])
    spec = tmp_path / "product.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    monkeypatch.setenv(MASTER_KEY_VARIABLE, new_master_key())
    built = rung.build(spec)
    assert built.cleared
    traffic = [dict(zip(names[:-1], row, strict=False)) for row in table[300:]]
    remember(tmp_path / "service", built.bundle, traffic, None)
    truth = {key_of(dict(zip(names, row, strict=True)), names): row[-1] for row in table}
    with open_review(spec) as (_, session):
        asked = session.next_batch("ann", 40)
        export_rows(asked, tmp_path / "review.csv")
        with (tmp_path / "review.csv").open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.DictReader(file))
        for line in lines:
            line["label"] = f"{truth[key_of(line, names)]:.2f}"
        lines[0]["label"] = "many"
        write_csv(tmp_path / "review.csv", list(lines[0]), [list(line.values()) for line in lines])
        with pytest.raises(DataError, match="'many' is not a number"):
            import_labels(session, tmp_path / "review.csv", "ann")
        lines[0]["label"] = "?"
        write_csv(tmp_path / "review.csv", list(lines[0]), [list(line.values()) for line in lines])
        done = import_labels(session, tmp_path / "review.csv", "ann")
        assert (done.labelled, done.unclear, done.blank) == (39, 1, 0)
        assert import_labels(session, tmp_path / "review.csv", "ann").unchanged == 40, (
            "12.50 and 12.5 are one number"
        )
        with pytest.raises(InputError, match="'nan' is not a number"):
            session.record_answer("ann", asked[0].row.text, "label", "nan")
    with open_review(spec) as (_, session):
        client = TestClient(create_labelling_app(session, "t", ["testserver"], title="progress"))
        assert '"answer_kind": "number"' in client.get("/t/").text
        disagreed = None
        found = client.post("/t/next", json={"by": "bo"}).json()
        for nth in range(142):
            row = found["row"]
            if row is None:
                break
            value = truth[key_of({c["name"]: c["value"] for c in row["cells"]}, names)]
            again = row["text"] in {one.row.text for one in asked}
            if again and disagreed is None:
                value, disagreed = value + 1, row["text"]
            body = {
                "by": "bo",
                "text": row["text"],
                "kind": "label",
                "label": str(value),
                "token": f"bo-{nth:08d}",
            }
            found = client.post("/t/answer", json=body).json()
        assert found["progress"]["disagreements"] == 1 and found["progress"]["labelled"] > 100
        (pair,) = found["progress"]["agreement"]
        assert pair["rows"] > 1 and pair["share"] == pytest.approx(1 - 1 / pair["rows"])
        (open_,) = client.post("/t/disagreements", json={"by": "bo"}).json()["disagreements"]
        assert open_["text"] == disagreed and len(set(open_["said"].values())) == 2
        body = {"by": "bo", "text": disagreed, "kind": "settle", "label": "77", "token": "settle-it"}
        assert client.post("/t/answer", json=body).json()["disagreements"] == []
        assert session.progress("bo").audit.border > 0
    found = improve(spec, dry=True)
    assert found.verdict == "waiting" and [key for key, _ in found.reasons] == ["ready"]
    assert found.facts["accepted"] >= 10 and found.facts["audit"]["rounds"] >= 1
    done = improve(spec, who="Ann", lang="en")
    assert done.verdict in {"promoted", "kept"} and {check.kind for check in done.checks} <= {
        "fresh",
        "reused",
    }
    # What was learned from is kept encrypted in the journal; no plain copy stays behind.
    assert not (done.build.folder.parent / "feedback.jsonl").exists()
