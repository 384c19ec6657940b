"""Tar archives of class folders: read like the folder they hold; what leads out of them or is no file is passed over."""

import io
import tarfile

import numpy as np
import pytest

from rung.core.errors import DataError
from rung.data.sources.read import open_source, read_rows
from rung.modalities.images.png import write_png


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "cache"))


def pack(path, files, mode, links=()):
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for name, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return path


def pictures():
    return {
        f"data/{label}/{n}.png": write_png(np.full((8, 8), 20 * n + shade, np.uint8))
        for label, shade in (("cat", 0), ("dog", 7))
        for n in range(5)
    }


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w"), ("b.tar.gz", "w:gz"), ("c.tgz", "w:gz"), ("d.tar.xz", "w:xz")]
)
def test_class_folders_are_read(tmp_path, name, mode):
    strange = {"../out.png": b"x", "/abs.png": b"x", "data/.hidden/a.png": b"x", "data/cat/0.png": b"again"}
    members = {**pictures(), **strange}
    members["data/cat/0.png"] = pictures()["data/cat/0.png"]
    path = pack(tmp_path / name, members, mode, [("data/cat/link.png", "/etc/passwd")])
    source = open_source(path)
    rows = [row.values for row in read_rows(source) if row.values]
    assert sorted((row["image"], row["label"]) for row in rows) == sorted(
        (f"{label}/{n}.png", label) for label in ("cat", "dog") for n in range(5)
    )
    assert source.tables[0].notes == {"unpacked": 10, "passed_over": 4}
    assert not (tmp_path / "out.png").exists()


def test_a_damaged_archive_and_a_bomb_are_refused(tmp_path):
    whole = pack(tmp_path / "a.tar.gz", pictures(), "w:gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "none.tar").write_bytes(b"no archive at all" * 100)
    for name in ("cut.tar.gz", "none.tar"):
        with pytest.raises(DataError) as caught:
            list(read_rows(open_source(tmp_path / name)))
        assert caught.value.fix


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    from rung.data.readers import tarred_folder

    monkeypatch.setattr(tarred_folder, "MOST_UNPACKED", 1 << 16)
    monkeypatch.setattr(tarred_folder, "MOST_TIMES", 1)
    path = pack(tmp_path / "bomb.tar.gz", {"a/x.txt": b"\0" * (1 << 22), "b/y.txt": b"z"}, "w:gz")
    with pytest.raises(DataError, match="unpacks to more than"):
        open_source(path)
    assert not list((tmp_path / "cache").glob("unpacked/*/a"))
