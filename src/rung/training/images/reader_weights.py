"""Open the packaged networks that read text, from the folder of fetched weights."""

from __future__ import annotations

from dataclasses import replace

from rung.modalities.images.text_reader import FINDER, RECOGNISER, ReaderConfig, TextReader
from rung.runtime.onnx.session import OnnxFile
from rung.runtime.weights.catalogue import CATALOGUE
from rung.runtime.weights.store import weights_folder


def open_packaged_reader(weights: str, config: ReaderConfig) -> TextReader:
    """Return a reader of packaged networks; never downloads.

    weights: a name of the catalogue. Raises RungError with the command to run when they are absent.
    """
    folder = weights_folder(weights)
    item = next(item for item in CATALOGUE if item.name == weights)
    finder = None if config.whole else OnnxFile.open(folder / FINDER)
    licensed = replace(config, licence=item.weights_licence, source=item.source)
    return TextReader(licensed, finder, OnnxFile.open(folder / RECOGNISER))
