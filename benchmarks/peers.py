"""Other libraries as contenders: each in a virtual environment of its own, made when it is first asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from leaderboard import Result
from sets import CACHE, Split

from rung.runtime.weights.store import weights_folder

HERE = Path(__file__).parent
# A fit of SetFit that would take longer is not run to its end.
SETFIT_LIMIT_S = 1200
AUTOGLUON_LIMIT_S = 600
WORKER_TIMEOUT_S = 3 * 3600
# A build without CUDA on Linux, as in constraints.txt.
TORCH = "torch==2.13.0"


class PeerError(Exception):
    """A peer could not be installed or did not end; the message is the last line it said."""


@dataclass(frozen=True)
class Peer:
    """A contender that `workers/<worker>.py` runs. weights: a name of `rung weights`, fetched before. home: of its environment,
    where it shares that of another worker."""

    title: str
    worker: str
    requirements: tuple[str, ...]
    weights: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    home: str = ""


# 1.2.0 is the first SetFit that works with transformers 5 and sentence-transformers 6.
SETFIT = ("setfit==1.2.0", "sentence-transformers==6.2.0", "transformers==5.23.0", "datasets==5.2.0", TORCH)

PEERS = {
    # fasttext 0.9.3 has no wheel, and 0.9.2 cannot predict under numpy 2: this is the same code (MIT) mended.
    "fasttext": Peer(
        "fastText, lr 1.0, 25 epochs, word bigrams",
        "fasttext",
        ("fasttext-numpy2==0.10.4", "numpy==2.4.6"),
    ),
    "model2vec": Peer(
        "model2vec (wordllama) + LogisticRegression",
        "model2vec",
        ("model2vec==0.10.0", "scikit-learn==1.9.1", "numpy==2.4.6"),
        weights="wordllama",
    ),
    "sentence_transformers": Peer(
        "sentence-transformers (MiniLM) + LogisticRegression",
        "sentence_transformers",
        ("sentence-transformers==6.2.0", "transformers==5.23.0", "scikit-learn==1.9.1", TORCH),
        weights="minilm",
    ),
    # Without fastai: it needs torchvision, which has no build without CUDA that fits this torch.
    "autogluon": Peer(
        f"AutoGluon, medium_quality, at most {AUTOGLUON_LIMIT_S} s",
        "autogluon",
        ("autogluon.tabular[lightgbm,catboost,xgboost]==1.6.3", TORCH),
        options={"time_limit_s": AUTOGLUON_LIMIT_S},
    ),
    # The default draws every pair of texts; this the fewest that it can: a like and an unlike one a row.
    "setfit_short": Peer(
        "SetFit (MiniLM), num_iterations=1",
        "setfit",
        SETFIT,
        weights="minilm",
        options={"num_iterations": 1, "limit_s": SETFIT_LIMIT_S},
    ),
    "setfit": Peer(
        "SetFit (MiniLM), its defaults",
        "setfit",
        SETFIT,
        weights="minilm",
        options={"num_iterations": None, "limit_s": SETFIT_LIMIT_S},
    ),
}


def run_peer(name: str, split: Split, threads: int) -> Result:
    """Return the figures of one peer on one case, run in its own environment and process.

    Seconds are the worker's own, without starting Python and importing. Raises PeerError, and RungError
    when the weights were not fetched.
    """
    peer = PEERS[name]
    found = work(peer, split, threads)
    answers = found["answers"]
    return Result(
        peer.title,
        None if answers is None else float(np.mean(np.array(answers) == np.array(split.test_labels))),
        found["fit_seconds"],
        found["rows_per_s"],
        found["size_mb"],
        found["build_seconds"],
        tuple(found["steps"]) if found["steps"] else None,
    )


def work(peer: Peer, split: Split, threads: int) -> dict[str, Any]:
    """Return the result.json of a peer's worker on one case. Raises as `run_peer` does."""
    weights = weights_folder(peer.weights) if peer.weights else Path()
    python = environment(peer)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write_job(folder, split, {"threads": threads, "weights": str(weights), "options": peer.options})
        command = [str(python), "-m", f"workers.{peer.worker}", str(folder)]
        _call(command, cwd=HERE, env=_variables(threads), timeout=WORKER_TIMEOUT_S)
        found: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return found


def environment(peer: Peer) -> Path:
    """Return the Python of a peer's environment, which is made anew when its requirements have changed."""
    folder = CACHE / "envs" / (peer.home or peer.worker)
    python, ready = folder / "bin" / "python", folder / "requirements.txt"
    wanted = "\n".join(peer.requirements) + "\n"
    if ready.is_file() and ready.read_text(encoding="utf-8") == wanted:
        return python
    print(f"installing {peer.worker} into {folder}", file=sys.stderr, flush=True)
    venv.create(folder, clear=True, with_pip=True)
    _call([str(python), "-m", "pip", "install", "-q", *peer.requirements], timeout=3600)
    # Written last: if this file exists, the environment is whole.
    ready.write_text(wanted, encoding="utf-8")
    return python


def versions(names: list[str]) -> str:
    """Return what these peers' environments pin, for the line under a case's title."""
    return ", ".join(dict.fromkeys(pin for name in names for pin in PEERS[name].requirements))


def _write_job(folder: Path, split: Split, asked: dict[str, Any]) -> None:
    (folder / "job.json").write_text(json.dumps(asked), encoding="utf-8")
    train = [{"text": t, "label": y} for t, y in zip(split.train_texts, split.train_labels, strict=True)]
    for name, rows in (("train", train), ("test", [{"text": t} for t in split.test_texts])):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")


def _variables(threads: int) -> dict[str, str]:
    """Return the worker's environment variables: its own threads, and no look at a hub."""
    count = str(threads)
    # A peer's environment must not see ours.
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return {
        **kept,
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        # Threads that wait by spinning take the cores from those that work.
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "true",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


def _call(
    command: list[str], timeout: float, cwd: Path | None = None, env: dict[str, str] | None = None
) -> None:
    try:
        done = subprocess.run(
            command, cwd=cwd, env=env, timeout=timeout, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        raise PeerError(f"did not end within {timeout:,.0f} s") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise PeerError(lines[-1] if lines else f"exit status {done.returncode}")
