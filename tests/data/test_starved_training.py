"""Near duplicates that starve training: the numbers and the choice are said."""

import random

import rung
from support import write_csv

TEMPLATES = [f"Dear team, the order of customer {{}} has arrived with {what} and must be replaced as soon as possible" for what in
             ("a broken lid", "a missing part", "the wrong colour", "a wet box")]  # fmt: skip


def product(folder, **data):
    rng = random.Random(0)
    rows = [
        (TEMPLATES[i % 4].format(rng.randrange(10**6)), ("lid", "part", "colour", "box")[i % 4])
        for i in range(600)
    ]
    write_csv(folder / "rows.csv", ["text", "label"], rows)
    keys = "".join(f", {key}: {value}" for key, value in data.items())
    (folder / "product.yaml").write_text(
        f"name: orders\ntask: text_classification\ndata: {{path: rows.csv{keys}}}\nbar: {{metric: accuracy, at_least: 0.5}}\n"
        "budget: {effort: 0, threads: 1}\nladder: [majority, tfidf_linear]\naccept: [related_rows]\n"
    )
    return folder / "product.yaml"


def test_what_is_removed_is_said_with_the_choice(tmp_path):
    report = rung.build(product(tmp_path)).report
    (found,) = (finding for finding in report["findings"] if finding["check"] == "starved_training")
    assert found["level"] == "warn" and found["rows"] == report["data"]["quarantined"]["near_duplicate"]
    assert found["of"] == found["rows"] + report["data"]["train"]


def test_they_are_kept_by_choice(tmp_path):
    report = rung.build(product(tmp_path, near_duplicates="keep")).report
    assert "near_duplicate" not in report["data"]["quarantined"] and report["data"]["train"] > 300
    assert all(finding["check"] != "starved_training" for finding in report["findings"])
