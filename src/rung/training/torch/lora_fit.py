"""Tune a causal language model on chats: low-rank changes, packed rows, the loss of answers alone; merged, exported, compared."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rung.core.errors import RungError
from rung.core.model import FitContext
from rung.modalities.text.tuned_language import MODEL_FILE, ChatForm, TunedLanguage, TuningParams
from rung.training.torch.causal_weights import CausalSource, answer_tokens, chat_tokens, open_causal
from rung.training.torch.devices import training_threads
from rung.training.torch.gguf_export import write_gguf
from rung.training.torch.learner import Ints, Learner
from rung.training.torch.trainer import train

# Rows whose first token is compared with the exported file, and the mean difference of its log-probability that 8 or 16 bits explain.
_COMPARED, _TOLERANCE = 8, 0.35
# Rows whose loss tells when to stop; tokens of an answer, at most.
_SCORED, _ANSWER_TOKENS = 128, 1_500


@dataclass(frozen=True)
class ChatRow:
    """Tokens of a chat with its answer. start: place of the first token of the answer."""

    ids: Ints
    start: int


class AdaptedModel(nn.Module):
    """A frozen language model with low-rank changes. Its state is those alone, so that a checkpoint has some megabytes."""

    def __init__(self, source: CausalSource, params: TuningParams) -> None:
        from peft import LoraConfig, get_peft_model

        super().__init__()
        layers = int(source.config.num_hidden_layers)
        kept = None if params.adapted_layers is None else list(range(layers)[-params.adapted_layers :])
        # peft takes a share of alpha as well as whole numbers.
        alpha: Any = params.alpha
        asked = LoraConfig(
            r=params.rank, lora_alpha=alpha, lora_dropout=params.adapter_dropout,
            target_modules=linear_names(source.module), layers_to_transform=kept, task_type="CAUSAL_LM",
        )  # fmt: skip
        self.tuned: Any = get_peft_model(source.module, asked)

    def forward(self, ids: Tensor, positions: Tensor, kept: Tensor) -> Tensor:
        """Return the logits behind some places of a packed sequence, [kept, tokens]. positions: begin again with each row."""
        found = self.tuned(input_ids=ids, position_ids=positions, logits_to_keep=kept, use_cache=False)
        logits: Tensor = found.logits[0]
        return logits

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        return {name: value for name, value in self.named_parameters() if value.requires_grad}

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        own = self.state_dict()
        with torch.no_grad():
            for name, value in state_dict.items():
                own[name].copy_(value)

    def merged(self) -> nn.Module:
        """Return the language model with the changes added to its weights."""
        found: nn.Module = self.tuned.merge_and_unload()
        return found


def linear_names(module: nn.Module) -> list[str]:
    """Return the last names of the linear layers inside blocks."""
    return sorted(
        {name.rsplit(".", 1)[-1] for name, part in module.named_modules() if isinstance(part, nn.Linear) and ".layers." in name}
    )  # fmt: skip


class CompletionLearner(Learner):
    """Each token of an answer is told from all before it; chats are read, not learned. The score is minus the mean loss of a token held out."""

    def __init__(self, module: AdaptedModel, rows: Sequence[ChatRow], held: Sequence[ChatRow]) -> None:
        self.rows, self.held = rows, held[:_SCORED]
        lengths = np.array([len(row.ids) for row in rows], np.int64)
        super().__init__(module, lengths, np.array([float(len(row.ids) - row.start) for row in rows]))

    def loss(self, rows: Ints) -> Tensor:
        return packed_loss(self.module, [self.rows[row] for row in rows])

    def score(self) -> float | None:
        if not self.held:
            return None
        total = 0.0
        for begin in range(0, len(self.held), 8):
            total += float(packed_loss(self.module, self.held[begin : begin + 8]))
        return -total / sum(len(row.ids) - row.start for row in self.held)


def packed_loss(module: nn.Module, rows: Sequence[ChatRow]) -> Tensor:
    """Return the sum of the losses of the tokens of all answers; rows stand one behind the other and see nothing of each other."""
    device = next(module.parameters()).device
    ids = np.concatenate([row.ids for row in rows])
    positions = np.concatenate([np.arange(len(row.ids)) for row in rows])
    begins = np.cumsum([0, *(len(row.ids) for row in rows)])
    told = np.concatenate(
        [begin + np.arange(row.start, len(row.ids)) for begin, row in zip(begins, rows, strict=False)]
    )

    def tensor(values: Ints) -> Tensor:
        return torch.as_tensor(values, device=device)

    logits = module(tensor(ids)[None], tensor(positions)[None], tensor(told - 1))
    return functional.cross_entropy(logits.float(), tensor(ids[told]), reduction="sum")


def tune(
    pairs: tuple[Sequence[str], Sequence[str]],
    held: tuple[Sequence[str], Sequence[str]],
    instruction: str,
    params: TuningParams,
    context: FitContext,
) -> tuple[TunedLanguage, dict[str, Any], Mapping[str, Sequence[float]]]:
    """Return the exported model, what was chosen, and the values of each epoch.

    pairs, held: texts with their answers, to train on and to tell when to stop. Raises RungError where the exported file answers unlike the
    trained model, and what `open_causal` and `train` raise.
    """
    source = open_causal(params.weights)
    longest = max((len(answer_tokens(source, answer)) for answer in pairs[1]), default=1)
    form = ChatForm(instruction, params.text_tokens, source.marks, min(longest + 8, _ANSWER_TOKENS))
    rows, own = (chat_rows(source, form, *given) for given in (pairs, held))
    with training_threads(context.threads, context.seed):
        module = AdaptedModel(source, params)
    trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
    history = train(CompletionLearner(module, rows, own), params, context)
    merged = module.cpu().merged().eval()
    source = CausalSource(source.name, merged, source.tokenizer, source.gguf)
    folder = Path(mkdtemp(prefix="rung-tuned-"))
    try:
        write_gguf(source, folder / MODEL_FILE, params.bits)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    language = TunedLanguage(folder / MODEL_FILE, form, folder)
    apart = compare(source, language, pairs[0][:_COMPARED])
    chosen: dict[str, Any] = {
        "weights": source.name, "architecture": source.architecture, "bits": int(params.bits), "trained_parameters": trained,
        "rows": len(rows), "tokens_read": int(sum(len(row.ids) for row in rows)) * history.epoch, "epochs": history.best_epoch,
        "learning_rate": history.rate, "export_apart": round(apart, 4),
    }  # fmt: skip
    if history.scores:
        chosen["held_out_loss"] = round(-max(history.scores), 4)
    return language, chosen, history.by_epoch()


def chat_rows(
    source: CausalSource, form: ChatForm, texts: Sequence[str], answers: Sequence[str]
) -> list[ChatRow]:
    """Return each text with its answer as tokens."""
    found = []
    for text, answer in zip(texts, answers, strict=True):
        chat = chat_tokens(source, form.messages(text))
        said = answer_tokens(source, form.plain(answer))[: form.answer_tokens]
        found.append(ChatRow(np.array([*chat, *said], np.int64), len(chat)))
    return found


@torch.no_grad()
def compare(source: CausalSource, language: TunedLanguage, texts: Sequence[str]) -> float:
    """Return how far the first token of answers lies apart between module and exported file, in mean log-probability.

    Template and tokens of the runner are compared with it. Raises RungError where that is more than fewer bits explain.
    """
    apart, fix = (
        [],
        (
            "Its tokenizer or chat template may be one that llama.cpp reads in another way: tune its GGUF file, or report this."
        ),
    )
    for text in texts:
        ids = chat_tokens(source, language.form.messages(text))
        likeliest, read = language.next_tokens(text)
        if read != len(ids):
            raise RungError(
                f"llama.cpp reads a chat as {read} tokens that was tuned as {len(ids)}", source.name, fix
            )
        logits = source.module(torch.as_tensor([ids])).logits[0, -1].float()
        place = int(logits.argmax())
        if "\ufffd" in source.tokenizer.decode([place]):
            continue  # The runner tells of whole characters alone.
        if not likeliest and place == source.tokenizer.eos_token_id:
            apart.append(0.0)
            continue
        # A token that is not among the likeliest is further down than the last of them.
        found = likeliest.get(place, min(likeliest.values(), default=-20.0) - 1.0)
        apart.append(abs(float(logits.log_softmax(-1)[place]) - found))
    mean = math.fsum(apart) / max(len(apart), 1)
    if mean > _TOLERANCE:
        raise RungError(
            f"the exported file answers unlike the tuned model: {mean:.2f} apart in log-probability",
            source.name,
            fix,
        )
    return mean
