"""Folders that hold the parts of a data set: the test part certifies, and files of equal names are not mixed up."""

import json

import pytest
import yaml
from PIL import Image

import caches
import rung
from rung.core.errors import DataError
from rung.data.readers.folder import open_folder, parts_of
from support import run_cli

CLASSES = ("trouser", "bag", "sneaker")
SIZES = {"train": 40, "val": 20, "test": 60}


@pytest.fixture(scope="module")
def clothes(tmp_path_factory):
    """A folder of train, val and test with files of the same names in each."""
    base = tmp_path_factory.mktemp("parts")
    images, labels = caches.garments(1800)
    of = {label: [p for p, own in zip(images, labels, strict=True) if own == label] for label in CLASSES}
    for label, found in of.items():
        rest = iter(found)
        for part, size in SIZES.items():
            folder = base / "clothes" / part / label
            folder.mkdir(parents=True)
            for number in range(size):
                Image.fromarray(next(rest)).save(folder / f"{number}.png")
    return base


def test_parts_are_told_from_classes(tmp_path, clothes):
    assert parts_of(clothes / "clothes") == {"test": "test", "train": "train", "val": "validation"}
    for name in ("train", "test", "models"):
        (tmp_path / name / "below").mkdir(parents=True)
    assert not parts_of(tmp_path)
    assert not parts_of(clothes / "clothes" / "train")


def test_a_folder_of_parts_is_not_read_as_classes(clothes):
    with pytest.raises(DataError, match=r"parts of a data set \(test, train, val\)") as refused:
        open_folder(clothes / "clothes", "clothes")
    assert "certify: {path: clothes/test}" in refused.value.fix


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_test_part_certifies(clothes, lang):
    done = run_cli("plan", "clothes", "-o", f"{lang}.yaml", "--lang", lang, cwd=clothes)
    assert done.returncode == 0, done.stderr
    spec = yaml.safe_load((clothes / f"{lang}.yaml").read_text(encoding="utf-8"))
    assert spec["data"]["path"] == ["clothes/train", "clothes/val"] and spec["certify"] == {
        "path": "clothes/test"
    }
    assert json.loads((clothes / "plan.json").read_text())["certification_rows"] == 180
    spec |= {"ladder": ["majority", "pixels_linear"], "bar": {"metric": "accuracy", "at_least": 0.8}}
    (clothes / f"{lang}.yaml").write_text(yaml.safe_dump(spec | {"budget": {"effort": 0, "threads": 1}}))
    report = rung.build(clothes / f"{lang}.yaml", run=clothes / "runs" / lang).report
    facts = report["data"]
    assert facts["certification"] > 170 and facts["train"] > 170
    # Equal names are different pictures: were those of `val` read from `train`, they would be duplicates.
    assert facts["quarantined"].get("duplicate", 0) + facts["quarantined"].get("near_duplicate", 0) < 5
    assert report["winner"] == "pixels_linear"
