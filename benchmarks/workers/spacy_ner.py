"""spaCy's named-entity recogniser, trained from scratch on marked texts. Runs in an environment of its own.

`python -m workers.spacy_ner FOLDER`: reads job.json ({lang, epochs}), train.jsonl ({text, spans: [[start, end, field]]}) and
test.jsonl ({text}); writes result.json ({answers: [[[start, end, field]]], fit_seconds, seconds_a_row}).
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import Any


def main(folder: Path) -> None:
    import spacy
    from spacy.training import Example
    from spacy.util import filter_spans, fix_random_seed

    def read(name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]

    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    fix_random_seed(0)
    random.seed(0)
    pipeline = spacy.blank(job["lang"])
    recogniser = pipeline.add_pipe("ner")
    rows = read("train.jsonl")
    begun = time.process_time()
    examples = []
    for row in rows:
        doc = pipeline.make_doc(row["text"])
        spans = [doc.char_span(start, end, label=field) for start, end, field in row["spans"]]
        kept = filter_spans([span for span in spans if span is not None])
        examples.append(
            Example.from_dict(doc, {"entities": [(s.start_char, s.end_char, s.label_) for s in kept]})
        )
        for span in kept:
            recogniser.add_label(span.label_)
    optimizer = pipeline.initialize(lambda: examples)
    for _ in range(job["epochs"]):
        random.shuffle(examples)
        for start in range(0, len(examples), 32):
            pipeline.update(examples[start : start + 32], drop=0.2, sgd=optimizer)
    fit_seconds = time.process_time() - begun
    texts = [row["text"] for row in read("test.jsonl")]
    begun = time.process_time()
    answers = [[[e.start_char, e.end_char, e.label_] for e in doc.ents] for doc in pipeline.pipe(texts)]
    seconds = (time.process_time() - begun) / max(len(texts), 1)
    found = {
        "answers": answers,
        "fit_seconds": fit_seconds,
        "seconds_a_row": seconds,
        "spacy": spacy.__version__,
    }
    (folder / "result.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
