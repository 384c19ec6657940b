"""Search the kind, size and training of a text network with Optuna: TPE, median pruning, a study that can be resumed."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from rung.core.errors import FitCancelled, RungError
from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.text.network_search_params import NetworkSearchParams
from rung.training.torch.classifier import scratch_for
from rung.training.torch.text_network_fit import (
    FittedNetwork,
    PreparedRows,
    fit_text_network,
    prepare_rows,
    train_network,
)
from rung.training.torch.text_networks import Architecture

_STUDY = "study.jsonl"
# Shown in the report.
_BEST = 5


def search_network(examples: Examples, params: NetworkSearchParams, context: FitContext) -> FittedNetwork:
    """Return the best network found, trained as its family would train it.

    Trials are scored on `context.validation` and stopped after an epoch whose score lies below the median of earlier
    trials at that epoch. The study lies in `context.scratch`, so that a killed search goes on with the trials it has.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows = prepare_rows(examples, params, context)
    if rows.validation is None:
        # A contract or a test fits without validation rows: nothing can be compared.
        return fit_text_network(params.kinds[0], examples, params, context)
    study = _study(params, context)
    deadline = time.monotonic() + 60.0 * params.minutes if params.minutes else None
    while len(_finished(study)) < params.trials and (deadline is None or time.monotonic() < deadline):
        study.optimize(lambda trial: _objective(trial, rows, params, context), n_trials=1)
        context.report(len(_finished(study)), params.trials, {"best": float(study.best_value)})
    architecture, best = sampled(study.best_trial, params)
    found = fit_text_network(architecture, examples, best, context)
    return replace(found, chosen={"architecture": architecture, **found.chosen, **_summary(study)})


def _study(params: NetworkSearchParams, context: FitContext) -> Any:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    storage = None
    if context.scratch is not None:
        context.scratch.mkdir(parents=True, exist_ok=True)
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(context.scratch / _STUDY)))
    return optuna.create_study(
        study_name="network", storage=storage, load_if_exists=True, direction="maximize",
        # Trials of an earlier, killed search count: the sampler goes on from another place of its sequence.
        sampler=optuna.samplers.TPESampler(seed=context.seed, n_startup_trials=max(params.trials // 4, 4)),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
    )  # fmt: skip


def _finished(study: Any) -> list[Any]:
    """Return the trials that ended, pruned or not."""
    return [trial for trial in study.trials if trial.state.is_finished()]


def _objective(trial: Any, rows: PreparedRows, params: NetworkSearchParams, context: FitContext) -> float:
    import optuna

    if context.cancelled():
        raise FitCancelled()
    architecture, own = sampled(trial, params)
    scores: list[float] = []

    def told(epoch: int, score: float | None) -> None:
        scores.append(float(score or 0.0))
        trial.report(scores[-1], epoch)
        if trial.should_prune():
            raise optuna.TrialPruned()

    part = replace(context, channel=None)
    try:
        train_network(architecture, rows, own, scratch_for(part, f"trial-{trial.number}"), told)
    except RungError as error:
        # A network that diverges is a bad one, not a mistake of the user's.
        raise optuna.TrialPruned(error.problem) from None
    return max(scores)


def sampled(trial: Any, params: NetworkSearchParams) -> tuple[Architecture, NetworkSearchParams]:
    """Return the kind of network and the parameters that a trial asks for, or had."""
    architecture: Architecture = trial.suggest_categorical("kind", list(params.kinds))
    own: dict[str, Any] = {
        "learning_rate": trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True),
        "dropout": trial.suggest_float("dropout", 0.1, 0.5),
        "token_dropout": trial.suggest_float("token_dropout", 0.0, 0.2),
        "weight_decay": trial.suggest_float("weight_decay", 1e-4, 1e-1, log=True),
        "batch_rows": trial.suggest_categorical("batch_rows", [16, 32, 64]),
        "hidden": trial.suggest_categorical("hidden", [64, 128, 256]),
    }
    if architecture == "transformer":
        own |= {
            "layers": trial.suggest_int("layers", 1, 3),
            "heads": trial.suggest_categorical("heads", [2, 4, 8]),
        }
    elif architecture in {"lstm", "gru"}:
        own["layers"] = trial.suggest_int("recurrent_layers", 1, 2)
    return architecture, replace(params, **own)


def _summary(study: Any) -> dict[str, Any]:
    """Return the trials and what mattered, for the report."""
    done = sorted(
        (t for t in study.trials if t.value is not None and t.state.name == "COMPLETE"),
        key=lambda t: -t.value,
    )
    return {
        "trials": len(study.trials),
        "trials_pruned": sum(t.state.name == "PRUNED" for t in study.trials),
        "best_trials": [{"score": round(t.value, 4), **_rounded(t.params)} for t in done[:_BEST]],
        "importance": _importance(study) if len(done) >= 4 else {},
    }


def _importance(study: Any) -> dict[str, float]:
    """Return the share of each parameter in the difference of scores (PED-ANOVA, Watanabe et al. 2023)."""
    import optuna

    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    try:
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except (ValueError, RuntimeError):  # Too few different scores.
        return {}
    return {name: round(float(share), 3) for name, share in found.items()}


def _rounded(params: dict[str, Any]) -> dict[str, Any]:
    return {name: float(f"{v:.3g}") if isinstance(v, float) else v for name, v in params.items()}
