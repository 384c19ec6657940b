"""The packaged language model behind an OpenAI-compatible server on this machine, by llama.cpp."""

from __future__ import annotations

import importlib.util
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.errors import MissingExtra, RungError
from rung.runtime.weights.store import weights_folder

WEIGHTS, DEFAULT_PORT = "smollm2", 8089
_LOOPBACK = "127.0.0.1"
# llama.cpp's level of messages: errors alone.
_ERRORS = 1


@dataclass(frozen=True)
class LocalServerSettings:
    """port: 0 for a free one. threads: of one answer. parallel: answers at a time. context: tokens of each."""

    port: int = DEFAULT_PORT
    threads: int = 1
    parallel: int = 2
    context: int = 4096


class LocalServer:
    """A running server; it ends with the process. base: its address. model: its name in requests."""

    def __init__(self, settings: LocalServerSettings, weights: str = WEIGHTS) -> None:
        """weights: a name of `rung weights list`, or `file:model.gguf`.

        Raises MissingExtra, MissingWeights, and RungError when the port is taken.
        """
        if importlib.util.find_spec("xllamacpp") is None:
            raise MissingExtra("a language model on this machine", "local-llm", "xllamacpp")
        path = _gguf(weights)
        self.model = weights.removeprefix("file:").rsplit("/", 1)[-1].removesuffix(".gguf")
        port = _free_port(settings.port)
        self._server = _start(path, self.model, port, settings)
        self.base = f"http://{_LOOPBACK}:{port}/v1"


def _start(path: Path, name: str, port: int, settings: LocalServerSettings) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = [name]
    params.hostnames, params.port = [_LOOPBACK], port
    params.n_parallel, params.n_ctx = settings.parallel, settings.parallel * settings.context
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings.threads
    params.ui = params.endpoint_slots = params.endpoint_props = False
    # Pages of other origins in a browser of this machine may not ask the model.
    params.cors_origins = ""
    params.verbosity = _ERRORS
    return xllamacpp.Server(params)


def _gguf(weights: str) -> Path:
    found = weights_folder(weights)
    path = found if found.is_file() else next(iter(sorted(found.glob("*.gguf"))), None)
    if path is None or path.suffix != ".gguf":
        raise RungError(f"'{weights}' holds no gguf file", "weights", f"Use {WEIGHTS}, or file:model.gguf.")
    return path


def _free_port(port: int) -> int:
    """Return the port, or a free one for 0; raises RungError when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError:
            raise RungError(
                f"the port {port} is taken", "--port", "Name another, or 0 for a free one."
            ) from None
        return int(probe.getsockname()[1])
