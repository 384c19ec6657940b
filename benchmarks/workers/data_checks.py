"""cleanlab, datasketch and semhash as they come, in an environment of their own: a job in, answers and seconds out.

cleanlab is AGPL: it is run here as a peer, and nothing of rung imports it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def cleanlab(job: dict[str, Any]) -> dict[str, Any]:
    """Return the rows that cleanlab lists, ranked: on its usual pipeline, or on probabilities given."""
    from cleanlab.filter import find_label_issues
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline

    begun = time.perf_counter()
    names = sorted(set(job["labels"]))
    codes = np.array([names.index(label) for label in job["labels"]])
    if job["probabilities"]:
        probabilities = np.load(job["probabilities"])
    else:
        analyzer = {"analyzer": "char", "ngram_range": (1, 2)} if job["chinese"] else {"ngram_range": (1, 2)}
        pipeline = make_pipeline(
            TfidfVectorizer(sublinear_tf=True, min_df=2, **analyzer), LogisticRegression(C=10, max_iter=500)
        )
        probabilities = cross_val_predict(pipeline, job["texts"], codes, cv=5, method="predict_proba")
    rows = find_label_issues(codes, probabilities, return_indices_ranked_by="normalized_margin", n_jobs=1)
    return {"rows": [int(row) for row in rows], "seconds": time.perf_counter() - begun}


def _shingles(text: str, kind: str) -> set[bytes]:
    text = " ".join(text.lower().split())
    if kind == "words":
        return {word.encode() for word in text.split()} or {b""}
    size = int(kind)
    return {text[i : i + size].encode() for i in range(max(len(text) - size + 1, 1))}


def datasketch(job: dict[str, Any]) -> dict[str, Any]:
    """Return, a threshold, which queries have a known text whose estimated Jaccard similarity reaches it."""
    from datasketch import MinHash, MinHashLSH

    begun = time.perf_counter()

    def sketches(texts: list[str]) -> list[Any]:
        return list(MinHash.bulk([_shingles(text, job["shingles"]) for text in texts], num_perm=128))

    known, queries = sketches(job["known"]), sketches(job["queries"])
    sketched = time.perf_counter() - begun
    found = {}
    for threshold in job["thresholds"]:
        index = MinHashLSH(threshold=threshold, num_perm=128)
        for place, sketch in enumerate(known):
            index.insert(place, sketch)
        found[threshold] = [
            any(known[place].jaccard(sketch) >= threshold for place in index.query(sketch))
            for sketch in queries
        ]
    each = (time.perf_counter() - begun - sketched) / len(job["thresholds"])
    return {"found": found, "seconds": sketched + each}


def semhash(job: dict[str, Any]) -> dict[str, Any]:
    """Return, a threshold, which queries semhash takes for duplicates of a known text."""
    from model2vec import StaticModel
    from safetensors.numpy import load_file
    from semhash import SemHash
    from tokenizers import Tokenizer

    weights = Path(job["weights"])
    vectors = next(iter(load_file(weights / "embedding.safetensors").values())).astype(np.float32)
    encoder = StaticModel(vectors, Tokenizer.from_file(str(weights / "tokenizer.json")), normalize=True)
    begun = time.perf_counter()
    index = SemHash.from_records(records=job["known"], model=encoder)
    built = time.perf_counter() - begun
    found = {}
    for threshold in job["thresholds"]:
        kept = set(index.deduplicate(records=job["queries"], threshold=threshold).selected)
        found[threshold] = [query not in kept for query in job["queries"]]
    each = (time.perf_counter() - begun - built) / len(job["thresholds"])
    return {"found": found, "seconds": built + each}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    asked = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    answer = {"cleanlab": cleanlab, "datasketch": datasketch, "semhash": semhash}[asked["peer"]](asked)
    (folder / "result.json").write_text(json.dumps(answer), encoding="utf-8")
