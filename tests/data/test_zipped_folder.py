"""A zip archive with one folder per class: texts and images, within bounds, nothing outside, all of it counted."""

import hashlib
import io
import stat
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from preparing import prepare_in
from rung.core import registry
from rung.core.errors import DataError
from rung.data.readers import zipped_folder
from rung.data.sources.read import open_source, read_rows
from rung.pages.data_notes import data_notes
from rung.runtime.weights.store import cache_folder

TEXTS = {f"{label}/{i}.txt": f"{label} text number {i}" for label in ("spam", "ham") for i in range(30)}


def packed(path, files, **more):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        for name, info in more.items():
            archive.writestr(info, name)
    return path


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize("wrap", ["", "export/"])
def test_a_folder_per_class_is_a_table(tmp_path, wrap):
    path = packed(tmp_path / "mail.zip", {wrap + name: text for name, text in TEXTS.items()})
    source = open_source(path)
    assert source.columns == ("text", "label", "file")
    assert {row.values["file"]: row.values["text"] for row in read_rows(source)} == TEXTS
    assert source.tables[0].notes == {"unpacked": 60, "passed_over": 0}
    data = prepare_in(tmp_path, None, "mail.zip")
    assert data.facts["rows"] == 60 and set(data.facts["labels"]) == {"spam", "ham"}
    assert data_notes(data.facts, "en")[0] == "mail.zip: 60 files were unpacked"


def test_nothing_is_written_outside_and_what_is_passed_over_is_counted(tmp_path):
    odd = {"../../slip.txt": "x", "/abs.txt": "x", "spam/../../up.txt": "x", "spam\\..\\win.txt": "x", "C:/d.txt": "x",
           "__MACOSX/spam/._0.txt": "x", "spam/.hidden": "x"}  # fmt: skip
    path = packed(tmp_path / "mail.zip", TEXTS | odd, **{"/etc/passwd": link("spam/link.txt")})
    source = open_source(path)
    assert len(list(read_rows(source))) == 60
    # zipfile itself writes a backslash as a slash, which leads out as well.
    assert source.tables[0].notes == {"unpacked": 60, "passed_over": 8}
    assert not list(tmp_path.rglob("slip.txt")) and not list(cache_folder().rglob("up.txt"))
    assert not any(file.is_symlink() for file in (cache_folder() / "unpacked").rglob("*"))
    said = data_notes({"dialects": {"mail.zip": source.tables[0].notes}}, "en")
    assert said[1].startswith("mail.zip: 8 files were passed over")


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(zipped_folder, "MOST_UNPACKED", 1_000_000)
    bomb = {f"{label}/{i}.txt": "0" * 5_000_000 for label in "ab" for i in range(3)}
    with pytest.raises(DataError, match="it unpacks to 6 files of 30,000,000 bytes together"):
        open_source(packed(tmp_path / "b.zip", bomb))
    assert not (cache_folder() / "unpacked").exists() or not list(
        (cache_folder() / "unpacked").rglob("0.txt")
    )


def test_a_damaged_archive_is_said(tmp_path):
    path = packed(tmp_path / "mail.zip", TEXTS)
    content = bytearray(path.read_bytes())
    content[45] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="it cannot be unpacked"):
        open_source(path)


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_names_whose_encoding_is_not_said_are_read(encoding):
    """Windows packs Chinese names so: zipfile takes them for code page 437."""
    info = zipfile.ZipInfo("好评/1.txt".encode(encoding).decode("cp437"))
    assert zipped_folder._name(info) == "好评/1.txt"


def test_an_archive_of_tables_is_none(tmp_path):
    path = packed(tmp_path / "t.zip", {"a/1.csv": "x,y\n1,2\n", "b/2.csv": "x,y\n1,2\n"})
    with pytest.raises(DataError, match="the archive holds 2 files, and one table is read"):
        open_source(path)


def test_images_are_read_as_those_of_a_folder(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pictures = {}
    for i in range(12):
        buffer = io.BytesIO()
        image.new("L", (8, 8), 20 * i).save(buffer, "PNG")
        pictures[f"{'ab'[i % 2]}/{i}.png"] = buffer.getvalue()
    packed(tmp_path / "p.zip", pictures)
    data = prepare_in(tmp_path, None, "p.zip", task=registry.task("image_classification"), input="image")
    assert data.facts["rows"] == data.facts["used"] == 12 and set(data.facts["labels"]) == {"a", "b"}
    seen = {blob.sha256 for blob in data.train.inputs["image"]}
    assert seen <= {hashlib.sha256(content).hexdigest() for content in pictures.values()} and seen


@pytest.mark.parametrize("names", [("spam/x", "spam/x/y.txt"), ("spam/x/y.txt", "spam/x")])
def test_a_name_of_a_file_and_a_folder_is_refused(tmp_path, names):
    path = packed(tmp_path / "mail.zip", dict.fromkeys(names, "text") | TEXTS)
    with pytest.raises(DataError) as caught:
        open_source(path)
    assert "is a file and a folder" in str(caught.value)
    assert not [path for path in (cache_folder() / "unpacked").iterdir() if path.suffix != ".lock"]


def test_of_two_builds_at_once_one_unpacks(tmp_path, monkeypatch):
    """The second waits for the first, and finds the folder whole."""
    path = packed(tmp_path / "mail.zip", TEXTS)
    began, count, unpack = threading.Event(), [], zipped_folder._unpack

    def slow(*parts):
        began.set()
        time.sleep(0.002)
        count.append(parts[2].name)
        unpack(*parts)

    monkeypatch.setattr(zipped_folder, "_unpack", slow)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(open_source, path)
        assert began.wait(10)
        second = pool.submit(open_source, path)
        assert len(list(read_rows(first.result()))) == len(list(read_rows(second.result()))) == 60
    assert len(count) == 60
