"""A static student of a sentence encoder: each token's vector is what the encoder makes of it alone.

As model2vec does (Tulkens & van Dongen 2024): tokens are encoded one by one, their vectors are rotated to their principal axes, of
which the first are kept, and frequent tokens count less (Arora et al. 2017: a / (a + p)). A text is the mean of its tokens. The
axes are then mixed so that the means of the texts at hand come close to what the encoder makes of these texts whole (ridge
regression onto the principal axes of its vectors). Only tokens that the product's texts use, and single characters, get a vector.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.modalities.text.embedder import Embedder, load_embedder
from rung.modalities.text.ngrams import join_fields
from rung.modalities.text.static_embedding import StaticEmbedding
from rung.modalities.text.tokenize import token_ids, vocabulary_of
from rung.training.compression.fewer_tokens import cut_tokenizer, used_tokens
from rung.training.compression.recipe import Source
from rung.training.compression.smaller_encoder import HEAD_FILE, weights_of
from rung.training.compression.students import fit_student

Floats = npt.NDArray[np.float32]
_WIDTH, _SMOOTH, _RIDGE = 256, 1e-2, 1e-3
# Vectors of tokens are coarser than those of texts: below so many rows their head wants more restraint.
_FEW_ROWS, _RESTRAINT = 2_000, {"head": "ridge", "c": 1.0}
_FAMILY = "static_embedding"


def static_student(source: Source, folder: Path) -> str:
    """Write static vectors distilled from the source's encoder, with a head fitted on rows and on the source's answers."""
    encoder = load_embedder(source.folder / "encoder")
    texts = [
        *join_fields(source.learn.inputs),
        *(join_fields(source.unlabelled) if source.unlabelled else ()),
    ]
    with tempfile.TemporaryDirectory(prefix="rung-static-") as scratch:
        place = Path(scratch)
        write_static(encoder, source.folder / "encoder" / "tokenizer.json", texts, place)
        named = f"file:{place}"
        few = len(texts) < _FEW_ROWS
        fit_student(source, _FAMILY, {"weights": named, **(_RESTRAINT if few else {})}).save(folder)
        head = folder / HEAD_FILE
        said = f"static, of {weights_of(source)}"
        head.write_text(head.read_text(encoding="utf-8").replace(named, said), encoding="utf-8")
    return _FAMILY


def write_static(encoder: Embedder, tokenizer: Path, texts: Sequence[str], folder: Path) -> None:
    """Write embedding.safetensors and tokenizer.json of the static vectors for these texts; the encoder reads each once."""
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer

    content = json.loads(tokenizer.read_text(encoding="utf-8"))
    kept = used_tokens(content, texts)
    small = cut_tokenizer(content, kept)
    # A text is the mean of its own tokens: special ones are added by nobody.
    small["post_processor"] = None
    names = _names(small, len(kept))
    vectors = encoder.embed(names)
    teacher = encoder.embed(texts)
    reader = Tokenizer.from_str(json.dumps(small))
    counts = Counter(number for ids in token_ids(reader, list(texts)) for number in ids)
    table = _weighted(_rotated(vectors), counts)
    means = StaticEmbedding(table, reader).encode(texts, normalise=False)
    save_file(
        {"vectors": (table @ _towards(means, teacher)).astype(np.float16)}, folder / "embedding.safetensors"
    )
    (folder / "tokenizer.json").write_text(json.dumps(small, ensure_ascii=False), encoding="utf-8")


def _names(tokenizer: Mapping[str, Any], count: int) -> list[str]:
    """Return what each token reads like, by its number."""
    names = [""] * count
    for token, number in vocabulary_of(tokenizer):
        names[number] = token.removeprefix("##").replace("\u2581", " ").strip()
    return names


def _rotated(vectors: Floats) -> Floats:
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ axes[:, ::-1][:, :_WIDTH], np.float32)


def _towards(means: Floats, teacher: Floats) -> Floats:
    """Return the matrix [axes, axes] that takes the texts' means towards their vectors by the encoder."""
    target = _rotated(teacher).astype(np.float64)
    x = means.astype(np.float64)
    gram = x.T @ x
    restraint = _RIDGE * np.trace(gram) / len(gram)
    return np.asarray(np.linalg.solve(gram + restraint * np.eye(len(gram)), x.T @ target), np.float32)


def _weighted(vectors: Floats, counts: Mapping[int, int]) -> Floats:
    total = max(sum(counts.values()), 1)
    shares = np.array([counts.get(number, 0) / total for number in range(len(vectors))])
    return np.asarray(vectors * (_SMOOTH / (_SMOOTH + shares))[:, None], np.float32)
