"""Choose between 8 bits and float32 for an encoder, by one measurement on each machine.

Processors differ: with VNNI the 8-bit graph is two to three times as fast, on others it may be slower than
float32. Both graphs are exported and compared on texts that were not used for calibration; the result is
stored beside the encoders with the processor and the runtime it is valid for.
"""

from __future__ import annotations

import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from rung.core.files import read_json, write_json
from rung.modalities.text.onnx_encoder import EncoderConfig, OnnxEncoder
from rung.training.text.encoder_export import encoder_folder, export_to, exported_folder

# Least cosine similarity between the two embeddings of a text. 8 bits gave 0.997 or more, and unchanged
# accuracies.
MIN_COSINE = 0.98
_REPEATS = 3
# Texts unlike the calibration texts, short and long, in several languages.
_PROBES = (
    "Can I change the delivery address of an order that was already shipped?",
    "The second half drags, but the last twenty minutes are among the best of the year.",
    "Warning: disk /dev/sda1 is 97 % full, 3.1 GB left; clean up /var/log before midnight.",
    "快递三天了还没到，客服电话一直打不通，麻烦帮我查一下单号。",
    "房间干净，前台热情，就是离地铁站有点远，下次还会再来。",
    "央行宣布下调存款准备金率0.5个百分点，市场普遍认为流动性将保持合理充裕。",
    "Mi pedido llegó roto y quiero que me devuelvan el dinero.",
    "Wo finde ich die Rechnung für den letzten Monat?",
    "この映画は期待していたほど面白くなかったです。",
)  # fmt: skip
_TEXTS = (*_PROBES, " ".join(_PROBES[:3] * 6), "".join(_PROBES[3:6] * 6))


def best_encoder_folder(name: str) -> Path:
    """Return the folder of an encoder in the best variant for this machine. Never downloads; see
    `encoder_folder`.
    """
    folder = encoder_folder(name)
    if folder != exported_folder(name, "int8") or EncoderConfig.read(folder).variant != "int8":
        return folder  # Used as published: there is no choice.
    return encoder_folder(name, measure_int8(name)["variant"])


def measure_int8(name: str) -> dict[str, Any]:
    """Return the measurement on this machine: variant, speed_up and least_cosine of 8 bits."""
    here = {"processor": _processor_name(), "onnxruntime": version("onnxruntime")}
    path = exported_folder(name, "int8").with_name(exported_folder(name, "int8").name + ".choice.json")
    if path.is_file():
        found: dict[str, Any] = read_json(path)
        if {key: found.get(key) for key in here} == here:
            return found
    quantised = OnnxEncoder.open(encoder_folder(name, "int8"))
    with tempfile.TemporaryDirectory(prefix="rung-") as scratch:
        # Four times as large and usually not needed again: stored only if it is better.
        export_to(name, Path(scratch), "float32")
        exact = OnnxEncoder.open(Path(scratch))
        cosine = float((quantised.encode(_TEXTS) * exact.encode(_TEXTS)).sum(axis=1).min())
        speed_up = _encoding_seconds(exact) / _encoding_seconds(quantised)
    found = {
        **here,
        "variant": "int8" if speed_up > 1.0 and cosine >= MIN_COSINE else "float32",
        "speed_up": round(speed_up, 2),
        "least_cosine": round(cosine, 4),
    }
    write_json(path, found)
    return found


def _encoding_seconds(encoder: OnnxEncoder) -> float:
    """Return the CPU seconds of encoding all texts on one thread, the least of several runs."""
    taken = []
    for _ in range(_REPEATS):
        begun = time.process_time()
        encoder.encode(_TEXTS)
        taken.append(time.process_time() - begun)
    return float(np.min(taken))


def _processor_name() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
