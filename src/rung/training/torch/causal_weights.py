"""Open a causal language model for training: from a hub, a folder of Hugging Face's format, or a GGUF file that is read back into floats."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rung.core.errors import RungError
from rung.runtime.weights.store import weights_folder

# Architectures whose tensors this project knows how to write as GGUF: as transformers names them -> as GGUF does.
ARCHITECTURES: Mapping[str, str] = {
    "llama": "llama",
    "mistral": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
}
# The chat of a model that was never taught one.
_PLAIN = (
    "{% for message in messages %}{{ '### ' + message['role'] + '\\n' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '### assistant\\n' }}{% endif %}"
)


@dataclass(frozen=True)
class CausalSource:
    """A model before training. gguf: the file it was read from, whose tokenizer and facts ship again; None without one."""

    name: str
    module: nn.Module
    tokenizer: Any
    gguf: Path | None

    @property
    def config(self) -> Any:
        return self.module.config

    @property
    def architecture(self) -> str:
        """Return what GGUF calls it."""
        return ARCHITECTURES[self.config.model_type]

    @property
    def marks(self) -> tuple[str, ...]:
        """Return what the tokenizer reads as more than text."""
        added = self.tokenizer.get_added_vocab()
        found = {*map(str, self.tokenizer.all_special_tokens), *map(str, added)}
        return tuple(sorted((mark for mark in found if len(mark) > 1), key=lambda mark: (-len(mark), mark)))


def open_causal(name: str) -> CausalSource:
    """Return the model in float32 and its tokenizer, with a chat template.

    name: see TuningParams. `hub:` is downloaded once, by transformers, into its own cache; code of a hub is never run.
    Raises RungError for what is no causal language model, and for an architecture that could not be exported.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
    where, asked, gguf = _place(name)
    try:
        config = AutoConfig.from_pretrained(where, **asked)
        kind = str(config.model_type)
        if kind not in ARCHITECTURES:
            fix = f"Known: {', '.join(ARCHITECTURES)}."
            raise RungError(f"'{kind}' is no architecture that can be tuned and exported here", name, fix)
        safe = {} if gguf else {"use_safetensors": True}
        # The reader of GGUF files draws a bar of its own.
        with redirect_stderr(io.StringIO()):
            tokenizer = AutoTokenizer.from_pretrained(where, **asked)
            module = AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32, **safe, **asked)
    except (OSError, ValueError, KeyError, ImportError) as error:
        fix = "Name weights of `rung weights list`, file: with a folder (config.json, model.safetensors, tokenizer.json) or a gguf file, or hub:owner/model."
        raise RungError(
            f"this cannot be read as a causal language model: {str(error)[:300]}", name, fix
        ) from None
    if tokenizer.eos_token_id is None:
        raise RungError(
            "the tokenizer has no end of a text", name, "Set `eos_token` in tokenizer_config.json."
        )
    if not tokenizer.chat_template:
        tokenizer.chat_template = _PLAIN
    module.config.use_cache = False
    return CausalSource(name, module, tokenizer, gguf)


def _place(name: str) -> tuple[str, dict[str, Any], Path | None]:
    """Return what transformers is told of weights, and their GGUF file if they are one."""
    if name.startswith("hub:"):
        repository, _, revision = name.removeprefix("hub:").partition("@")
        return repository, {"revision": revision} if revision else {}, None
    found = weights_folder(name)
    if found.is_dir() and (found / "config.json").is_file():
        return str(found), {"local_files_only": True}, None
    path = found if found.is_file() else next(iter(sorted(found.glob("*.gguf"))), None)
    if path is None or path.suffix != ".gguf":
        fix = "Name a folder with config.json, model.safetensors and tokenizer.json, or a gguf file."
        raise RungError(
            "this is neither a language model of Hugging Face's format nor a gguf file", name, fix
        )
    return str(path.parent), {"gguf_file": path.name, "local_files_only": True}, path


def chat_tokens(source: CausalSource, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """Return a chat up to where the answer begins, as tokens: rendered by the template of the model, read as its runner reads it."""
    text = source.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    return list(source.tokenizer(text, add_special_tokens=False).input_ids)


def answer_tokens(source: CausalSource, text: str) -> list[int]:
    """Return an answer as tokens, its end included."""
    ids = list(source.tokenizer(text, add_special_tokens=False).input_ids)
    return [*ids, int(source.tokenizer.eos_token_id)]
