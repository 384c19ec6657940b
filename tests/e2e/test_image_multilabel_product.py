"""Images with several labels each: stamps and the words of their folders, planned, built, answered over HTTP; columns of 0 and 1 too."""

import csv
import json
import shutil

import pytest
from fastapi.testclient import TestClient

import rung
from rung.core.errors import RungError
from rung.core.label_sets import set_labels
from rung.core.spec.serve import ServeSpec
from rung.journal.writer import Journal
from rung.pages.report import render
from rung.serving.http.api_keys import KeyStore
from rung.serving.http.app import create_app
from rung.serving.service import Service
from support import run_cli, write_csv

WORDS = ("alphabets", "animals", "asl", "english", "filled", "food", "lowercase", "symbols")
SPEC = """name: stamps
task: image_multilabel
data: {{path: rows.csv, input: image, {target}}}
bar: {{metric: {metric}, at_least: {bar}}}
budget: {{effort: 0, threads: 1}}
ladder: [majority, {rung}]
"""
URL = "/v1/models/stamps/predict"


@pytest.fixture(scope="module")
def stamps(example_data):
    """Stamps with one of eight words, every second one: (file, words)."""
    folder = example_data("stamps")
    with (folder / "stamps.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            (folder / row["image"], sorted(set(WORDS) & set(json.loads(row["words"]))))
            for row in csv.DictReader(file)
        ]
    return [row for row in rows if row[1]][::2]


def write(folder, stamps, as_columns=False):
    """Write the stamps and a table of their words; as_columns: a column of 0 and 1 for each."""
    (folder / "stamps").mkdir()
    for path, _ in stamps:
        shutil.copy(path, folder / "stamps" / path.name)
    header = ["image", *WORDS] if as_columns else ["image", "words"]
    cells = (
        [int(word in words) for word in WORDS] if as_columns else ["; ".join(words)] for _, words in stamps
    )
    write_csv(
        folder / "rows.csv",
        header,
        [[f"stamps/{path.name}", *more] for (path, _), more in zip(stamps, cells, strict=True)],
    )


def spec_of(
    folder,
    metric="micro_f1",
    bar=0.5,
    rung_="{model: hog_linear, params: {head: ridge}}",
    target="target: words",
):
    path = folder / "product.yaml"
    path.write_text(SPEC.format(metric=metric, bar=bar, rung=rung_, target=target), encoding="utf-8")
    return path


def test_planned_built_and_answered_with_several_labels(stamps, tmp_path):
    write(tmp_path, stamps)
    planned = run_cli("plan", "rows.csv", "--lang", "en", "-o", "plan.yaml", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    text = (tmp_path / "plan.yaml").read_text("utf-8")
    assert "task: image_multilabel" in text and "target: words" in text
    built = rung.build(spec_of(tmp_path))
    report = built.report
    assert built.cleared and report["winner"] == "hog_linear" and report["certificate"]["exact"]
    assert set(report["data"]["labels"]) == set(WORDS)
    page = render(report, "en")
    assert "Scores by label" in page and "alphabets" in page and "data:image/jpeg" in page
    assert "各标签的成绩" in render(report, "zh")
    assert run_cli("verify", built.bundle).returncode == 0
    model = rung.load(built.bundle)
    found = [set_labels(answer.value) for answer in model.predict([path for path, _ in stamps])]
    hits = sum(len(set(said) & set(words)) for said, (_, words) in zip(found, stamps, strict=True))
    assert (
        2 * hits / sum(len(said) + len(words) for said, (_, words) in zip(found, stamps, strict=True)) > 0.7
    )
    spec = ServeSpec()
    journal = Journal(tmp_path / "service", spec.inputs, spec.keep_days)
    service = Service(
        limits=spec, keys=KeyStore(tmp_path / "service"), journal=journal, folder=tmp_path / "service"
    )
    with TestClient(create_app([model], service=service)) as client:
        picture = next(path for path, words in stamps if {"alphabets", "english"} <= set(words)).read_bytes()
        reply = client.post(
            URL,
            files={"image": ("a.png", picture)},
            data={"options.explain": "true", "options.scores": "true"},
        )
        (answer,) = reply.json()["predictions"]
        assert isinstance(answer["labels"], list) and 0 <= answer["probability"] <= 1
        assert len([name for name in answer if name.startswith("score:")]) == len(WORDS)
        assert answer["reasons"] and all(len(reason["region"]) == 4 for reason in answer["reasons"])
        given = client.post(
            "/v1/feedback", json={"prediction": answer["id"], "answer": ["symbols", "english"]}
        )
        assert given.status_code == 201, given.text
    journal.close()


def test_columns_of_0_and_1_and_bars_of_single_labels(stamps, tmp_path):
    write(tmp_path, stamps, as_columns=True)
    planned = rung.plan(tmp_path / "rows.csv")
    assert planned.guess.task == "image_multilabel"
    columns = f"label_columns: {json.dumps(WORDS)}"
    built = rung.build(spec_of(tmp_path, "f1:alphabets", 0.5, "pixels_linear", columns))
    assert built.cleared and built.report["winner"] == "pixels_linear"
    thresholds = next(t for t in built.report["trials"] if t["rung"] == "pixels_linear")["chosen"][
        "thresholds"
    ]
    assert set(thresholds) == set(WORDS)


def test_what_is_not_fitted_for_sets_is_said(stamps, tmp_path):
    write(tmp_path, stamps[::3])
    bent = spec_of(tmp_path, "subset_accuracy", 0.2, rung_="{model: hog_linear, params: {curved: true}}")
    rung.build(bent, run=tmp_path / "bent")
    events = [json.loads(line) for line in (tmp_path / "bent" / "events.jsonl").read_text().splitlines()]
    (failed,) = (event for event in events if event["event"] == "failed")
    assert "several labels a row are flat" in failed["problem"] and "curved" in failed["fix"]
    one = [(path, words[:1]) for path, words in stamps[::3]]
    (tmp_path / "one").mkdir()
    write(tmp_path / "one", one)
    with pytest.raises(RungError) as caught:
        rung.build(spec_of(tmp_path / "one"))
    assert "image_classification" in caught.value.fix
