"""RapidOCR as its users call it, on one thread: reads the pictures of a folder, writes result.json."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from rapidocr import RapidOCR

THREADS = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}


def main(folder: Path) -> None:
    """Read every picture, one a call; keep its lines with their boxes, and the processor seconds."""
    asked = {f"EngineConfig.onnxruntime.{key}": value for key, value in THREADS.items()}
    reader = RapidOCR(params={"Global.log_level": "error", **asked})
    pictures = sorted((folder / "pictures").iterdir())
    reader(str(pictures[0]))
    answers, begun = [], time.process_time()
    for picture in pictures:
        found = reader(str(picture))
        boxes = [] if found.boxes is None else found.boxes.tolist()
        answers.append([list(pair) for pair in zip(found.txts or (), boxes, strict=True)])
    seconds = time.process_time() - begun
    (folder / "result.json").write_text(
        json.dumps({"answers": answers, "seconds": seconds}), encoding="utf-8"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
