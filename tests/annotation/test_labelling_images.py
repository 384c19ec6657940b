"""Labelling of images: a plain folder of pictures, chosen by what they show, built from the labels."""

import pytest
from PIL import Image

import caches
import rung
from rung.modalities.images import reading
from rung.workflows.label import open_labelling_session
from support import run_cli

CLASSES = ("trouser", "bag", "sneaker")
SPEC = """name: garments
task: image_classification
data: {path: photos, input: image, target: label}
labelling: {labels: {trouser: "", bag: "", sneaker: ""}, weights: none}
bar: {metric: accuracy, at_least: 0.8}
budget: {effort: 0, threads: 1}
ladder: [majority, pixels_linear]
"""


@pytest.fixture
def product(tmp_path):
    truth = {}
    (tmp_path / "photos").mkdir()
    for number, (pixels, label) in enumerate(zip(*caches.garments(900), strict=True)):
        if label in CLASSES:
            Image.fromarray(pixels).save(tmp_path / "photos" / f"{number:04}.png")
            truth[f"{number:04}.png"] = label
    (tmp_path / "photos" / "notes.txt").write_text("from the second shelf")
    (tmp_path / "product.yaml").write_text(SPEC)
    return tmp_path / "product.yaml", truth


@pytest.mark.parametrize("kept", [16_000_000, 0], ids=["some are in memory", "all are read again"])
def test_images_are_chosen_by_what_they_show(product, kept, monkeypatch):
    monkeypatch.setattr(reading, "RECENT", reading.RecentImages(kept))
    path, truth = product
    with open_labelling_session(path, background=False) as session:
        assert session.strategy.featurizer_name == "hog" and len(session.pool.rows) == len(truth)
        for _ in range(100):
            item = session.next("Ana")
            session.record_answer("Ana", item.row.text, "label", truth[item.row.cells["image"].name])
        # Names of files say nothing of the label: the guesses come from the pixels.
        curve = session.strategy.state.learning_curve
        assert curve[-1].score > 0.85
    report = rung.build(path).report
    # The rows of the audit certify once all of them are labelled.
    assert report["data"]["train"] >= 75
    assert report["winner"] == "pixels_linear"


def test_a_plan_of_pictures_without_labels_says_how_to_label_them(product):
    path, _ = product
    done = run_cli("plan", "photos", "-o", "new.yaml", cwd=path.parent)
    assert (
        done.returncode == 2 and "carry no labels" in done.stderr and "rung label product.yaml" in done.stderr
    )
    assert not (path.parent / "new.yaml").exists()
