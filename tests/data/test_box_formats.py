"""Images with boxes: COCO, Pascal VOC, YOLO, tables with a row per box or per image; and what people's files hold besides."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from preparing import prepare_in
from rung.core import registry
from rung.core.errors import DataError
from rung.data.sources.read import open_source, read_rows
from rung.modalities.images.boxes import Box
from rung.modalities.images.png import write_png
from rung.pages.data_notes import data_notes

TASK = "object_detection"


def picture(number, width=60, height=40):
    rng = np.random.default_rng(number)
    return write_png(rng.integers(0, 256, (height, width, 3)).astype(np.uint8))


def write(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def box_of(number):
    return [5 + number % 10, 4, 20, 10 + number % 7]


def prepared(base, path=None, content=None, **data):
    own = {"path": path} if path else {}
    return prepare_in(
        base, content, task=registry.task(TASK), **{"input": "image", "target": "boxes", **own, **data}
    )


def write_coco(folder, change=lambda content: content, images="images", count=40):
    for number in range(count):
        write(folder, f"{images}/{number}.png", picture(number))
    content = {
        "info": {"year": 2026},
        "images": [{"id": n, "file_name": f"{n}.png", "width": 60, "height": 40} for n in range(count)],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1 + n % 2, "bbox": box_of(n), "iscrowd": 0}
            for n in range(count)
            if n % 4
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "狗"}],
    }
    return write(folder, "annotations/train.json", json.dumps(change(content)))


def test_coco(tmp_path):
    write_coco(tmp_path / "set")
    found = prepared(tmp_path, "set/annotations/train.json")
    rows = [*found.train.targets, *found.certification.targets]
    assert len(rows) == 40 and rows.count(()) == 10  # Images without things stay.
    assert Box("狗", *box_of(1)) in [box for boxes in rows for box in boxes]
    assert found.dataset.schema.outputs[1].values == ("cat", "狗")
    (image,) = {type(value).__name__ for value in found.train.inputs["image"]}
    assert image == "Blob"


def test_a_folder_with_a_file_of_coco_is_read_like_the_file(tmp_path):
    write_coco(tmp_path / "set")
    assert len(list(read_rows(open_source(tmp_path / "set")))) == 40


def test_what_is_wrong_in_coco_is_said_and_the_rest_is_read(tmp_path):
    def change(content):
        content["images"][1]["width"], content["images"][1]["height"] = 40, 60
        content["images"].append({"id": 90, "file_name": "gone.png"})
        content["images"].append({"id": 91})
        content["annotations"] += [
            {"image_id": 2, "category_id": 9, "bbox": [1, 2, 3, 4]},
            {"image_id": 3, "category_id": 1, "bbox": [1, 2, 3]},
            {"image_id": 5, "category_id": 1, "bbox": [1, 2, 0, 4]},
            {"image_id": 6, "category_id": 1, "bbox": [100, 2, 3, 4]},
            {"image_id": 7, "category_id": 1, "bbox": [50, 2, 30, 4]},
            {"image_id": 9, "category_id": 2, "bbox": box_of(9)},
            {"image_id": 10, "category_id": 2, "bbox": [0, 0, 60, 40], "iscrowd": 1},
            {"image_id": 99, "category_id": 2, "bbox": [0, 0, 60, 40]},
            "no annotation",
        ]
        return content

    path = write_coco(tmp_path / "set", change)
    found = prepared(tmp_path, "set/annotations/train.json")
    reasons = "\n".join(entry["detail"] for entry in found.quarantine)
    for words in (
        "drawn on an image of 40 x 60 pixels, and upright this one has 60 x 40. It was turned since",
        "category 9 is not listed", "an annotation's bbox is '[1, 2, 3]'", "it has no area", "lies outside the image of 60 x 40",
        "there is no such file", "has no file_name",
    ):  # fmt: skip
        assert words in reasons
    assert found.facts["quarantined"] == {"bad_boxes": 6, "missing_file": 1}
    assert found.facts["settled"] == {"boxes_cut": 1, "boxes_repeated": 1}
    notes = "\n".join(data_notes(found.facts, "en"))
    assert "1 box reached beyond the edge" in notes and "1 outline of a crowd was left out" in notes
    assert "1 annotation belongs to no image" in notes and "1 annotation is no object" in notes
    assert "1 个边界框超出图像边缘" in "\n".join(data_notes(found.facts, "zh"))
    path.write_text('{"images": [1, 2')
    with pytest.raises(DataError, match="this is no JSON"):
        open_source(path)


def test_json_that_is_no_coco_is_read_as_before(tmp_path):
    rows = [{"images": ["a"], "text": "x", "label": "y"}, {"images": ["b"], "text": "z", "label": "w"}]
    path = write(tmp_path, "rows.json", "\n".join(map(json.dumps, rows)))
    assert [row.values["text"] for row in read_rows(open_source(path))] == ["x", "z"]


VOC = """<annotation><folder>x</folder><filename>{name}</filename><size><width>60</width><height>40</height></size>
<object><name>{label}</name><bndbox><xmin>5</xmin><ymin>4</ymin><xmax>{right}</xmax><ymax>20</ymax></bndbox></object></annotation>"""


@pytest.mark.parametrize("places", [("Annotations", "JPEGImages"), ("", "")])
def test_pascal_voc(tmp_path, places):
    for number in range(40):
        write(tmp_path, f"set/{places[1]}/{number}.png", picture(number))
        # A path of another machine: only its name counts.
        name = f"C:\\photos\\{number}.png" if number % 2 else f"{number}.jpg"
        write(
            tmp_path,
            f"set/{places[0]}/{number}.xml",
            VOC.format(name=name, label="cat", right=25 + number % 5),
        )
    write(tmp_path, f"set/{places[1]}/alone.png", picture(77))
    found = prepared(tmp_path, "set")
    assert found.facts["rows"] == 41 and found.facts["quarantined"] == {"missing_target": 1}
    assert {boxes[0].label for boxes in found.train.targets} == {"cat"}
    assert found.train.targets[0][0][1:3] == (5.0, 4.0)


def test_what_is_wrong_in_pascal_voc_is_said_and_the_rest_is_read(tmp_path):
    for number in range(30):
        write(tmp_path, f"set/{number}.png", picture(number))
        write(tmp_path, f"set/{number}.xml", VOC.format(name=f"{number}.png", label="cat", right=25))
    bad = {
        "0": "<annotation><object>", "1": "<html></html>", "2": "", "4": '<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>',
        "3": "<annotation><filename>3.png</filename><object><name>cat</name></object></annotation>",
        "5": VOC.format(name="5.png", label="cat", right="far"), "6": VOC.format(name="6.png", label=" ", right=25),
        "7": VOC.format(name="7.png", label="cat", right=25).replace("<width>60", "<width>600"),
    }  # fmt: skip
    for stem, content in bad.items():
        write(tmp_path, f"set/{stem}.xml", content)
    write(tmp_path, "set/nothing.xml", VOC.format(name="nothing.png", label="cat", right=25))
    found = prepared(tmp_path, "set")
    assert found.facts["quarantined"] == {"bad_boxes": 8, "missing_file": 1}
    reasons = "\n".join(entry["detail"] for entry in found.quarantine)
    for words in ("is no XML", "holds <html>", "entities", "no name or no bndbox", "holds 'far'", "600 x 40"):
        assert words in reasons


@pytest.mark.parametrize("where", ["images/labels", "beside"])
def test_yolo(tmp_path, where):
    images, labels = ("train/images", "train/labels") if where == "images/labels" else ("", "")
    for number in range(40):
        write(tmp_path, f"set/{images}/{number}.png", picture(number))
        if number % 4:
            write(tmp_path, f"set/{labels}/{number}.txt", f"{number % 2} 0.5 0.5 0.25 0.{5 + number % 3}\n")
    write(tmp_path, "set/data.yaml", "names: {0: cat, 1: dog}\nnc: 2\n")
    found = prepared(tmp_path, "set")
    rows = [*found.train.targets, *found.certification.targets]
    assert len(rows) == 40 and rows.count(()) == 10
    (box,) = next(boxes for boxes in rows if boxes)
    assert box.label in {"cat", "dog"} and (box.x, box.width) == (22.5, 15.0)
    assert "10 images have no file of boxes" in "\n".join(data_notes(found.facts, "en"))


def test_what_is_wrong_in_yolo_is_said_and_the_rest_is_read(tmp_path):
    for number in range(30):
        write(tmp_path, f"set/{number}.png", picture(number))
        write(tmp_path, f"set/{number}.txt", "0 0.5 0.5 0.25 0.5\n")
    write(tmp_path, "set/classes.txt", "cat\n")
    write(tmp_path, "set/1.txt", "0 0.5 0.5 0.25\n")
    write(tmp_path, "set/2.txt", "cat 0.5 0.5 0.25 0.5\n")
    write(tmp_path, "set/3.txt", "0 30 20 15 10\n")
    write(tmp_path, "set/4.txt", "7 0.5 0.5 0.25 0.5\n")
    write(tmp_path, "set/5.txt", b"\xff\xfe\x00")
    write(tmp_path, "set/6.txt", "0 0.2 0.2 0.6 0.2 0.6 0.8 0.2 0.8\n")
    write(tmp_path, "set/7.png", b"no picture")
    found = prepared(tmp_path, "set")
    assert found.facts["quarantined"] == {"bad_boxes": 5, "unreadable": 1}
    reasons = "\n".join(entry["detail"] for entry in found.quarantine)
    for words in (
        "line 1 has 3 numbers",
        "no class with numbers",
        "beyond 0 to 1",
        "class 7 is none of the 1",
        "no text in UTF-8",
    ):
        assert words in reasons
    assert "1 outline was read as the box around it" in "\n".join(data_notes(found.facts, "en"))


def test_captions_beside_images_are_no_boxes(tmp_path):
    for label in ("cat", "dog"):
        write(tmp_path, f"set/{label}/a.png", picture(1))
        write(tmp_path, f"set/{label}/a.txt", "3 cats on a mat")
    assert open_source(tmp_path / "set").columns == ("text", "label", "file")


def test_boxes_in_two_formats_are_refused(tmp_path):
    write(tmp_path, "set/a.png", picture(1))
    write(tmp_path, "set/a.txt", "0 0.5 0.5 0.25 0.5\n")
    write(tmp_path, "set/a.xml", VOC.format(name="a.png", label="cat", right=25))
    with pytest.raises(DataError, match="it holds boxes in VOC and YOLO"):
        open_source(tmp_path / "set")


def table(rows, head):
    out = [head, *rows]
    return "\n".join(",".join(map(str, row)) for row in out) + "\n"


@pytest.mark.parametrize("corners", [True, False])
def test_a_table_with_a_row_per_box(tmp_path, corners):
    rows = []
    for number in range(40):
        write(tmp_path, f"photos/{number}.png", picture(number))
        x, y, width, height = box_of(number)
        box = (x, y, x + width, y + height) if corners else (x, y, width, height)
        rows.append((f"photos/{number}.png", *box, "cat", number // 4))
        if number % 2:
            rows.append((f"photos/{number}.png", 1, 1, 5, 5, "dog", number // 4))
    rows.append(("photos/empty.png", "", "", "", "", "", 99))
    write(tmp_path, "photos/empty.png", picture(99))
    sides = ("xmin", "ymin", "xmax", "ymax") if corners else ("x", "y", "width", "height")
    content = table(rows, ("image_path", *sides, "label", "site"))
    found = prepared(tmp_path, content=content, input="image_path", group="site")
    rows = [*found.train.targets, *found.certification.targets]
    assert found.facts["rows"] == 41 and sorted(map(len, rows)) == [0, *[1] * 20, *[2] * 20]
    first = next(boxes for boxes in rows if len(boxes) == 1)
    assert first[0].label == "cat" and first[0].width == 20


def test_a_box_that_cannot_be_read_makes_its_image_unusable(tmp_path):
    rows = []
    for number in range(30):
        write(tmp_path, f"{number}.png", picture(number))
        rows.append((f"{number}.png", *box_of(number), "cat", "a"))
    rows += [
        ("1.png", "left", 2, 3, 4, "cat", "a"),
        ("2.png", 1, 2, 3, 4, "", "a"),
        ("3.png", 1, 2, 3, 4, "cat", "b"),
    ]
    content = table(rows, ("image", "x", "y", "width", "height", "label", "site"))
    found = prepared(tmp_path, content=content, group="site", certify={"fraction": 0})
    assert found.facts["quarantined"] == {"bad_boxes": 2, "contradictory_rows": 1}
    reasons = "\n".join(entry["detail"] for entry in found.quarantine)
    assert (
        "holds 'left'" in reasons
        and "a box without a label" in reasons
        and "an earlier row of the image 'a'" in reasons
    )


def test_a_table_with_a_row_per_image_holds_boxes_as_json(tmp_path):
    with (tmp_path / "data.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "boxes"))
        for number in range(30):
            write(tmp_path, f"{number}.png", picture(number))
            writer.writerow((f"{number}.png", json.dumps([{"label": "cat", "box": box_of(number)}])))
        writer.writerow(("1.png", "[1"))
    found = prepared(tmp_path)
    assert (
        found.facts["quarantined"] == {"bad_boxes": 1} and len(found.train) + len(found.certification) == 30
    )


def test_nothing_to_find_is_refused(tmp_path):
    for number in range(30):
        write(tmp_path, f"set/{number}.png", picture(number))
        write(tmp_path, f"set/{number}.txt", "")
    Path(tmp_path, "set/0.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    write(tmp_path, "set/0.png", b"broken")
    with pytest.raises(DataError, match="none of the .. training images has a box"):
        prepared(tmp_path, "set")
