"""Whether an encoder runs in 8 bits here: only where that is faster and as good, found out once on each machine.

Processors differ: with VNNI the 8-bit graph is two to three times as fast, on others it may be slower than float32. Both
graphs are made and asked about texts that calibrated neither; what was found is kept beside the encoders with the
processor and the runtime it holds for.
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
from rung.training.text.encoder_export import encoder_folder, export_to, folder_of

# Least cosine between the two vectors of a text. 8 bits were seen to keep 0.997 and more, and every accuracy.
MIN_COSINE = 0.98
_REPEATS = 3
# Texts of other kinds than those that calibrate the 8-bit graph, short and long, in several languages.
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
    """Return the folder of an encoder in the variant that is best here. Never downloads: see `encoder_folder`."""
    folder = encoder_folder(name)
    if folder != folder_of(name, "int8") or EncoderConfig.read(folder).variant != "int8":
        return folder  # Published as it is: there is nothing to choose from.
    return encoder_folder(name, measure_int8(name)["variant"])


def measure_int8(name: str) -> dict[str, Any]:
    """Return what was measured of an encoder on this machine: variant, speed_up and least_cosine of 8 bits."""
    here = {"processor": _processor_name(), "onnxruntime": version("onnxruntime")}
    path = folder_of(name, "int8").with_name(folder_of(name, "int8").name + ".choice.json")
    if path.is_file():
        found: dict[str, Any] = read_json(path)
        if {key: found.get(key) for key in here} == here:
            return found
    small = OnnxEncoder.open(encoder_folder(name, "int8"))
    with tempfile.TemporaryDirectory(prefix="rung-") as scratch:
        # Four times as large and mostly not needed again: not kept unless it is the better one.
        export_to(name, Path(scratch), "float32")
        whole = OnnxEncoder.open(Path(scratch))
        cosine = float((small.encode(_TEXTS) * whole.encode(_TEXTS)).sum(axis=1).min())
        speed_up = _encoding_seconds(whole) / _encoding_seconds(small)
    found = {
        **here,
        "variant": "int8" if speed_up > 1.0 and cosine >= MIN_COSINE else "float32",
        "speed_up": round(speed_up, 2),
        "least_cosine": round(cosine, 4),
    }
    write_json(path, found)
    return found


def _encoding_seconds(encoder: OnnxEncoder) -> float:
    """Return the processor seconds of encoding all texts, of one thread, the least of some repeats."""
    taken = []
    for _ in range(_REPEATS):
        begun = time.process_time()
        encoder.encode(_TEXTS)
        taken.append(time.process_time() - begun)
    return float(np.min(taken))


def _processor_name() -> str:
    """Return what the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
