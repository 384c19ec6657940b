"""Boxes drawn by people on a plain folder of pictures: checked, stored, counted, and built from."""

import json

import numpy as np
import pytest

import rung
from rung.annotation.app import create_labelling_app
from rung.annotation.serializers import query_to_dict
from rung.core.errors import InputError
from rung.modalities.images.png import write_png
from rung.workflows.label import open_labelling_session

SPEC = """name: squares
task: object_detection
data: {path: photos, near_duplicates: keep}
labelling: {labels: [square], weights: none, audit_rows: 20}
bar: {metric: box_f1, at_least: 0.5}
budget: {effort: 0, threads: 1}
ladder: [no_boxes]
"""


def write_boxed_product(folder):
    """Write 70 pictures with up to one bright square, and a product that asks for boxes; return where the squares are."""
    rng = np.random.default_rng(3)
    truth = {}
    (folder / "photos").mkdir()
    for number in range(70):
        levels = rng.integers(0, 60, (80, 100, 3))
        boxes = []
        if number % 3:
            x, y = rng.integers(5, 50, 2).tolist()
            levels[y : y + 24, x : x + 24] = 230
            boxes = [["square", x, y, 24, 24]]
        (folder / "photos" / f"{number:03}.png").write_bytes(write_png(levels.astype(np.uint8)))
        truth[f"{number:03}.png"] = boxes
    (folder / "product.yaml").write_text(SPEC)
    return folder / "product.yaml", truth


def test_boxes_are_stored_and_built_from(tmp_path):
    path, truth = write_boxed_product(tmp_path)
    with open_labelling_session(path, background=False) as session:
        assert session.pool.answer_kind == "boxes" and len(session.pool.rows) == 70
        shown = query_to_dict(session.next("Ana"))
        assert shown["cells"][0]["size"] == [100, 80] and shown["guess"] is None
        while (item := session.next("Ana")) is not None:
            boxes = truth[item.row.cells["image"].name]
            session.record_answer("Ana", item.row.text, "label", json.dumps(boxes))
        progress = session.progress("Ana")
        assert progress.labelled == 70 and progress.by_label == {"square": sum(map(bool, truth.values()))}
        assert not progress.disagreements
    report = rung.build(path).report
    assert report["data"]["used"] >= 60 and not report["data"]["quarantined"]
    empty = sum(not boxes for boxes in truth.values()) / 70
    assert report["trials"][0]["scores"]["box_f1"] == pytest.approx(empty, abs=0.15)


@pytest.mark.parametrize(
    "answer",
    [None, "", "x", "{}", '[["circle", 1, 1, 5, 5]]', '[["square", 1, 1, 0, 5]]', '[["square", 1, 1, "a", 5]]', json.dumps([["square", 1, 1, 5, 5]] * 900)],
)  # fmt: skip
def test_answers_that_are_no_boxes(tmp_path, answer):
    path, _ = write_boxed_product(tmp_path)
    with open_labelling_session(path, background=False) as session:
        row = session.next("Ana").row
        with pytest.raises(InputError) as caught:
            session.record_answer("Ana", row.text, "label", answer)
        assert caught.value.fix and session.progress().labelled == 0


def test_the_page_says_that_it_asks_for_boxes(tmp_path):
    path, _ = write_boxed_product(tmp_path)
    with open_labelling_session(path, background=False) as session:
        app = create_labelling_app(session, "word", ["testserver"], "zh", "Ana", "squares")
        from fastapi.testclient import TestClient

        with TestClient(app) as client:
            page = client.get("/word/").text
            assert '"answer_kind": "boxes"' in page and '"learns": false' in page and "鼠标" in page
            found = client.post("/word/next", json={"by": "Ana"}).json()
            assert found["row"]["cells"][0]["picture"].startswith("data:image/")
            answer = {
                "by": "Ana",
                "text": found["row"]["text"],
                "kind": "label",
                "label": "[]",
                "token": "a" * 8,
            }
            assert client.post("/word/answer", json=answer).json()["progress"]["labelled"] == 1
