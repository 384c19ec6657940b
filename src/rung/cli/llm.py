"""`rung llm`: a language model on this machine, and what a server of one really does."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import asdict

import click

from rung.cli.options import as_json, print_json
from rung.cli.terminal import echo


@click.group(
    epilog="\b\nExamples:\n  rung weights fetch smollm2\n  rung llm serve\n  rung llm probe local smollm2\n"
    "  rung llm probe deepseek deepseek-v4-flash"
)
def command() -> None:
    """Serve a small language model here, and probe what a server of language models does.

    Keys are read from the environment: OPENAI_API_KEY, ANTHROPIC_API_KEY, DEEPSEEK_API_KEY, DASHSCOPE_API_KEY,
    MOONSHOT_API_KEY, RUNG_LLM_API_KEY for hosts listed in RUNG_LLM_HOSTS.
    """


@command.command("serve", epilog="\b\nExamples:\n  rung llm serve\n  rung llm serve --port 9000 --threads 4")
@click.option("--port", default=8089, show_default=True, type=click.IntRange(0, 65535), help="0: a free one.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1, 256), help="CPU threads.")
@click.option(
    "--parallel", default=2, show_default=True, type=click.IntRange(1, 64), help="Answers at a time."
)
@click.option(
    "--context", default=4096, show_default=True, type=click.IntRange(256, 131072), help="Tokens of each."
)
@click.option("--weights", default="smollm2", show_default=True, help="A fetched name, or file:model.gguf.")
@as_json
def serve_command(port: int, threads: int, parallel: int, context: int, weights: str, as_json: bool) -> None:
    """Serve a language model on this machine until interrupted, OpenAI-compatible, without a key."""
    from rung.runtime.llm.local_server import LocalServer, LocalServerSettings

    server = LocalServer(LocalServerSettings(port, threads, parallel, context), weights)
    if as_json:
        print_json({"base": server.base, "model": server.model})
    else:
        echo(f"{server.model} answers at {server.base}. Stop it with Ctrl+C.")
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


@command.command(
    "probe",
    epilog="\b\nExamples:\n  rung llm probe local smollm2\n  rung llm probe https://gpu.example/v1 qwen3-8b",
)
@click.argument("service")
@click.argument("model")
@click.option(
    "--usd-in", type=float, help="Price of a million input tokens, USD, where rung does not know it."
)
@click.option("--usd-out", type=float, help="Price of a million output tokens, USD.")
@as_json
def probe_command(
    service: str, model: str, usd_in: float | None, usd_out: float | None, as_json: bool
) -> None:
    """Try what MODEL at SERVICE does: token counts, log-probabilities, JSON schemas, streams. The result is stored.

    SERVICE: local, ollama, vllm, llamacpp, openai, anthropic, deepseek, qwen, moonshot, or an address ending in /v1.
    """
    from rung.runtime.llm.client import LlmClient
    from rung.runtime.llm.endpoint import endpoint
    from rung.runtime.llm.pricing import token_price
    from rung.runtime.llm.probe import probe

    at = endpoint(service, model)
    price = token_price(at, usd_in, usd_out)
    found = probe(LlmClient(at, price))
    path = found.save()
    warning = price.retirement_warning()
    if as_json:
        print_json({**asdict(found), "stored": str(path), "warning": warning})
        return
    echo(f"{found.model} at {at.host}, answers as '{found.answered_as}'; asking cost {found.usd:.6f} USD.")
    for finding in found.findings:
        echo(f"  {finding.name:<13} {finding.verdict:<8} {finding.detail}")
    if found.answered_as != model:
        echo("The name in the answers is another: pin the version that it names.")
    if warning:
        echo(warning)
