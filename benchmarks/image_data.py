"""Real images: Fashion-MNIST from a Debian package, fetched into a cache and checked by hash."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sets import CACHE

# Xiao, Rasul & Vollgraf 2017, MIT licence; as Debian packs it.
_FASHION = "dataset-fashion-mnist", "0.0~git20200523.55506a9-1"
_FASHION_SHA256 = "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0"
GARMENTS = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot",
)  # fmt: skip


@dataclass(frozen=True)
class ImageSplit:
    """Images and labels to train and to test on. images: uint8 [images, height, width]."""

    title: str
    source: str
    labels: tuple[str, ...]
    train: npt.NDArray[np.uint8]
    train_labels: list[str]
    test: npt.NDArray[np.uint8]
    test_labels: list[str]


def fashion(train: int, test: int) -> ImageSplit:
    """Return the first images of Fashion-MNIST's official training and test parts: 60,000 and 10,000 at most."""
    package = debian(*_FASHION, _FASHION_SHA256)
    found = {}
    for part, count in (("train", train), ("t10k", test)):
        images = gzip.decompress(_member(package, f"{part}-images-idx3-ubyte.gz"))
        numbers = gzip.decompress(_member(package, f"{part}-labels-idx1-ubyte.gz"))
        pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)[:count]
        found[part] = pixels, [GARMENTS[number] for number in numbers[8 : 8 + count]]
    return ImageSplit(
        f"Fashion-MNIST, the first {train:,} training and {test:,} test images of the official split",
        f"Debian {_FASHION[0]} {_FASHION[1]}",
        GARMENTS,
        *found["train"],
        *found["t10k"],
    )


def debian(package: str, version: str, sha256: str) -> Path:
    """Return a Debian package, fetched once by apt and checked. Its system must list it: `apt-get update` does."""
    CACHE.mkdir(parents=True, exist_ok=True)
    pattern = f"{package}_*.deb"
    if not any(CACHE.glob(pattern)):
        if not shutil.which("apt-get"):
            sys.exit(f"{package} is a Debian package: put {package}_{version}_all.deb into {CACHE}")
        subprocess.run(["apt-get", "download", "-q", f"{package}={version}"], cwd=CACHE, check=True)
    found = next(CACHE.glob(pattern))
    digest = hashlib.sha256(found.read_bytes()).hexdigest()
    if digest != sha256:
        sys.exit(f"{found.name} has SHA-256 {digest}, not {sha256}")
    return found


def _member(package: Path, name: str) -> bytes:
    """Return a file of a Debian package: an `ar` archive whose member data.tar.* holds the files."""
    with package.open("rb") as file:
        if file.read(8) != b"!<arch>\n":
            sys.exit(f"{package.name} is no Debian package")
        while header := file.read(60):
            member, size = header[:16].decode().strip().rstrip("/"), int(header[48:58])
            content = file.read(size + size % 2)[:size]
            if member.startswith("data.tar"):
                with tarfile.open(fileobj=io.BytesIO(content)) as inside:
                    path = next(path for path in inside.getnames() if path.endswith(f"/{name}"))
                    found = inside.extractfile(path)
                    return found.read() if found else b""
    sys.exit(f"{package.name} has no {name}")
