"""Propose a product for texts that nobody has labelled: the column of texts, and names of labels to begin with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

from rung.building.proposal import listed, quoted
from rung.core.errors import DataError
from rung.core.messages import say
from rung.core.spec.source_names import without_secrets
from rung.core.task import ColumnProfile
from rung.data.sources.read import Source, read_rows

# Read from the beginning of the source.
_ROWS = 2_000
_FEWEST_ROWS, _CLUSTERS = 50, 4
_LEAST_CHARS = 12.0
_NAME_WORDS, _MOST_CHARS = 2, 40


class Unlabelled(DataError):
    """The data has a column of texts and none of labels. text: the column; labels: proposed name -> number of rows."""

    def __init__(self, error: DataError, text: str, labels: dict[str, int]) -> None:
        super().__init__(error.problem, error.where, error.fix)
        self.text, self.labels = text, labels

    def yaml(self, name: str, paths: Sequence[str], lang: str = "en") -> str:
        """Return the text of product.yaml; paths: of the data, from the folder it will stand in. No password is written.

        lang: of the comments.
        """
        labels = "\n".join(
            f"    {quoted(label)}: ''   # {say('yaml.alike', lang, n=n)}" for label, n in self.labels.items()
        )
        return f"""# {say("yaml.unlabelled", lang)}
name: {quoted(name)}
task: text_classification
data:
  path: {listed([without_secrets(path) for path in paths])}
  input: {quoted(self.text)}
  target: label
bar: {{metric: accuracy, at_least: 0.8}}
labelling:
  labels:   # {say("yaml.groups", lang)}
{labels}
  guidelines: ''   # {say("yaml.guidelines", lang)}
"""


def propose_labels(source: Source, columns: Sequence[ColumnProfile], error: DataError) -> Unlabelled | None:
    """Return what to label, where a column holds texts; None where none does. error: why no task fits."""
    texts = [
        c for c in columns
        if not c.role and c.numeric < 0.5 and c.dates < 0.5 and c.distinct > c.filled / 2 and c.mean_chars >= _LEAST_CHARS and c.words >= 2
    ]  # fmt: skip
    if not texts:
        return None
    column = max(texts, key=lambda c: c.mean_chars)
    if column.filled < _FEWEST_ROWS:
        return None
    cells = [
        str(row.values.get(column.name) or "")
        for row in islice(read_rows(source), _ROWS)
        if row.values is not None
    ]
    return Unlabelled(error, column.name, _clusters([cell for cell in cells if cell.strip()]))


def _clusters(texts: Sequence[str]) -> dict[str, int]:
    """Return names of groups of similar texts with their sizes, largest first."""
    ascii_share = np.mean([text.isascii() for text in texts])
    how = (
        {"stop_words": sorted(ENGLISH_STOP_WORDS), "token_pattern": r"[^\W\d_]{3,}"}
        if ascii_share > 0.5
        else {"analyzer": "char", "ngram_range": (2, 2)}
    )
    vectorizer = TfidfVectorizer(max_df=0.4, min_df=2, max_features=5_000, sublinear_tf=True, **how)
    try:
        features = vectorizer.fit_transform(texts)
    except ValueError:  # No word is shared by two texts.
        return {"first": len(texts), "second": 0}
    found = KMeans(_CLUSTERS, n_init=3, random_state=0).fit(features)
    words = vectorizer.get_feature_names_out()
    named: dict[str, int] = {}
    for cluster in np.argsort(-np.bincount(found.labels_, minlength=_CLUSTERS)):
        tops = [words[i] for i in np.argsort(-found.cluster_centers_[cluster])[:30]]
        tops = [word for word in tops if word.strip() and word.isalpha()][:_NAME_WORDS]
        name = "-".join(tops)[:_MOST_CHARS]
        if name and name not in named:
            named[name] = int(np.sum(found.labels_ == cluster))
    return named if len(named) > 1 else {"first": len(texts), "second": 0}
