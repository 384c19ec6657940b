"""Write a causal language model as one GGUF file, tokenizer and chat template included, for llama.cpp."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rung.core.errors import RungError
from rung.training.torch.causal_weights import CausalSource

Floats = npt.NDArray[np.float32]
# Facts that the writer states itself.
_OWN = ("GGUF.", "general.architecture", "general.file_type", "general.quantization_version")
# What splits a text before it becomes tokens, by what a tokenizer file says of it -> as llama.cpp calls it.
_SMOLLM = ("Digits", "ByteLevel")
_TEMPLATE = "tokenizer.chat_template"


def write_gguf(source: CausalSource, path: Path, bits: Literal["8", "16"]) -> None:
    """Write the model, its LoRA already merged. bits: of matrices; vectors keep float32.

    Names, facts and tokenizer are those of the GGUF file that it was read from, or are told from its configuration.
    Raises RungError for a tokenizer that llama.cpp could not be told of.
    """
    import gguf

    kind = gguf.GGMLQuantizationType.Q8_0 if bits == "8" else gguf.GGMLQuantizationType.F16
    file_type = gguf.LlamaFileType.MOSTLY_Q8_0 if bits == "8" else gguf.LlamaFileType.MOSTLY_F16
    writer = gguf.GGUFWriter(path, source.architecture)
    if source.gguf is not None:
        _copy_facts(source, writer)
    else:
        _write_facts(source, writer)
        _write_tokenizer(source, writer)
    writer.add_file_type(int(file_type))
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for name, values in _tensors(source):
        own = kind if values.ndim > 1 else gguf.GGMLQuantizationType.F32
        if own is gguf.GGMLQuantizationType.Q8_0 and values.shape[-1] % 32:
            own = gguf.GGMLQuantizationType.F16
        writer.add_tensor(name, gguf.quants.quantize(values, own), raw_dtype=own)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(source: CausalSource) -> Iterator[tuple[str, Floats]]:
    """Yield the tensors as GGUF names and lays them out."""
    import gguf

    config = source.config
    architecture = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}[source.architecture]
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, tensor in source.module.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        found = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise RungError(f"gguf has no name for the tensor '{name}'", source.name, "Report this.")
        values: Floats = tensor.detach().float().cpu().numpy()
        part = name.rsplit(".", 2)[-2]
        if source.architecture == "llama" and part in heads:
            values = _interleaved(values, heads[part])
        yield found, np.ascontiguousarray(values)


def _interleaved(values: Floats, heads: int) -> Floats:
    """Return the rows of a projection in the order of llama.cpp, which turns neighbours, not halves, by position."""
    half = values.shape[0] // heads // 2
    return values.reshape(heads, 2, half, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def _copy_facts(source: CausalSource, writer: Any) -> None:
    """Write what the source file says of itself and of its tokenizer."""
    import gguf

    has_template = False
    for field in gguf.GGUFReader(str(source.gguf)).fields.values():
        if field.name.startswith(_OWN):
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        has_template |= field.name == _TEMPLATE
        writer.add_key_value(field.name, field.contents(), kind, inner)
    if not has_template:
        writer.add_chat_template(source.tokenizer.chat_template)


def _write_facts(source: CausalSource, writer: Any) -> None:
    """Write the sizes that the configuration tells."""
    config = source.config
    heads = int(config.num_attention_heads)
    width = int(getattr(config, "head_dim", None) or config.hidden_size // heads)
    rope = dict(getattr(config, "rope_parameters", None) or {})
    if rope.get("rope_type", "default") != "default":
        fix = "Tune its GGUF file instead: the scaling stands in it."
        raise RungError(
            f"rotary positions of the kind '{rope['rope_type']}' are not written here", source.name, fix
        )
    writer.add_name(source.name)
    writer.add_vocab_size(int(config.vocab_size))
    writer.add_context_length(int(config.max_position_embeddings))
    writer.add_embedding_length(int(config.hidden_size))
    writer.add_block_count(int(config.num_hidden_layers))
    writer.add_feed_forward_length(int(config.intermediate_size))
    writer.add_head_count(heads)
    writer.add_head_count_kv(int(config.num_key_value_heads))
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(float(rope.get("rope_theta", 10_000.0)))
    writer.add_layer_norm_rms_eps(float(config.rms_norm_eps))


def _write_tokenizer(source: CausalSource, writer: Any) -> None:
    """Write the tokens, their kinds and merges, and the chat template."""
    import gguf

    told = json.loads(source.tokenizer.backend_tokenizer.to_str())
    model = told["model"]
    splits = _splits(told.get("pre_tokenizer"))
    if model["type"] != "BPE" or "ByteLevel" not in splits:
        fix = "Tune its GGUF file instead: the tokenizer stands in it."
        raise RungError(
            f"a tokenizer of the kind '{model['type']}' with {', '.join(splits) or 'nothing'} before it is not written here", source.name, fix
        )  # fmt: skip
    special = {int(t["id"]): str(t["content"]) for t in told.get("added_tokens", ()) if t["special"]}
    added = {int(t["id"]): str(t["content"]) for t in told.get("added_tokens", ())}
    by_id = {int(place): str(token) for token, place in model["vocab"].items()} | added
    size = int(source.config.vocab_size)
    tokens = [by_id.get(place, f"[unused{place}]") for place in range(size)]
    types = [
        gguf.TokenType.CONTROL if place in special
        else gguf.TokenType.USER_DEFINED if place in added
        else gguf.TokenType.NORMAL if place in by_id else gguf.TokenType.UNUSED
        for place in range(size)
    ]  # fmt: skip
    merges = [one if isinstance(one, str) else " ".join(one) for one in model["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_pre(source, splits))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(int(source.tokenizer.eos_token_id))
    if source.tokenizer.bos_token_id is not None:
        writer.add_bos_token_id(int(source.tokenizer.bos_token_id))
    # The template says where a text begins.
    writer.add_add_bos_token(False)
    writer.add_chat_template(source.tokenizer.chat_template)


def _splits(told: Any) -> tuple[str, ...]:
    """Return the kinds of the steps that split a text."""
    if not told:
        return ()
    parts = told["pretokenizers"] if told["type"] == "Sequence" else [told]
    return tuple(str(part["type"]) for part in parts)


def _pre(source: CausalSource, splits: tuple[str, ...]) -> str:
    """Return what llama.cpp calls the splitting; the comparison after the export notices a wrong guess."""
    if source.architecture.startswith("qwen"):
        return "qwen2"
    if splits == _SMOLLM:
        return "smollm"
    return "gpt-2" if splits == ("ByteLevel",) else "llama-bpe"
