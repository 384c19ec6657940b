"""A GGUF file that llama.cpp runs in this process: chats with the file's own template and tokens, whole or as a stream."""

from __future__ import annotations

import importlib.util
import secrets
import threading
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from rung.core.errors import BundleError, MissingExtra
from rung.core.forked import usable_threads
from rung.runtime.llm.errors import LlmError
from rung.runtime.llm.replies import Completion, read_completion

_MAGIC = b"GGUF"
# llama.cpp's level of messages: none. What goes wrong comes back as an error.
_SILENT = -1
Messages = Sequence[Mapping[str, str]]


class GgufRunner:
    """One request at a time and no kept prompts: an answer depends on its request alone.

    Safe to share between threads. The server that llama.cpp opens on the loopback interface asks for a key that nobody is told.
    """

    def __init__(self, path: Path, context: int, threads: int = 1) -> None:
        """context: tokens of a request and its answer. Raises MissingExtra, BundleError for what is no model of llama.cpp."""
        if importlib.util.find_spec("xllamacpp") is None:
            raise MissingExtra("a language model in this process", "local-llm", "xllamacpp")
        with path.open("rb") as file:
            if file.read(4) != _MAGIC:
                raise BundleError("this is not a gguf file", path.name, "Build it again.")
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path, params.hostnames = str(path), ["127.0.0.1"]
        params.n_parallel, params.n_ctx = 1, context
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = usable_threads(threads)
        params.api_keys, params.verbosity, params.warmup = [secrets.token_hex(16)], _SILENT, False
        params.ui = params.endpoint_slots = params.endpoint_props = False
        params.cors_origins = ""
        try:
            self._server = xllamacpp.Server(params)
        except (RuntimeError, ValueError, OSError) as error:
            fix = "Install a newer xllamacpp, or build it again from weights of another architecture."
            raise BundleError(f"llama.cpp cannot load the model: {error}", path.name, fix) from None
        self._name, self._turn = path.name, threading.Lock()

    def answer(self, messages: Messages, most_tokens: int, **asked: Any) -> Completion:
        """Return the answer to a chat. asked: further keys of a request, such as `grammar` or `top_logprobs`.

        Raises LlmError; with status 400 and "too long" where the chat does not fit into the context.
        """
        body = self._body(messages, most_tokens, asked)
        with self._turn:
            reply = self._server.handle_chat_completions(body)
        self._require(reply)
        return read_completion(reply, {**body, "model": self._name}, 0.0, self._name)

    def next_tokens(self, messages: Messages, most: int) -> tuple[dict[int, float], int]:
        """Return the likeliest tokens to begin the answer with, number -> log-probability, and the tokens of the chat.

        {} where the answer ends before it begins.
        """
        # A token may be a part of a character, which is told when the character is whole.
        body = self._body(messages, 8, {"logprobs": True, "top_logprobs": most})
        with self._turn:
            reply = self._server.handle_chat_completions(body)
        self._require(reply)
        told = (reply["choices"][0].get("logprobs") or {}).get("content") or [{"top_logprobs": []}]
        likeliest = {int(one["id"]): float(one["logprob"]) for one in told[0]["top_logprobs"]}
        return likeliest, int(reply["usage"]["prompt_tokens"])

    def stream(self, messages: Messages, most_tokens: int, **asked: Any) -> Generator[str, None, str]:
        """Yield the pieces of an answer as they come, and return why it ended: stop or length.

        Closing the generator stops the model after the token it is at.
        """
        events: SimpleQueue[Any] = SimpleQueue()
        hung_up = threading.Event()
        body = {**self._body(messages, most_tokens, asked), "stream": True}

        def take(event: Any) -> bool:
            events.put(event)
            return hung_up.is_set()

        def write() -> None:
            try:
                with self._turn:
                    if not hung_up.is_set():
                        self._server.handle_chat_completions(body, take)
            except Exception as error:
                events.put({"error": {"message": str(error)}})
            finally:
                events.put(None)

        writer = threading.Thread(target=write, daemon=True, name="gguf-stream")
        writer.start()
        finish = "length"
        try:
            while (event := events.get()) is not None:
                for one in event if isinstance(event, list) else [event]:
                    self._require(one)
                    for choice in one.get("choices") or ():
                        finish = choice.get("finish_reason") or finish
                        piece = (choice.get("delta") or {}).get("content")
                        if piece:
                            yield str(piece)
        finally:
            hung_up.set()
            writer.join()
        return finish

    def _body(self, messages: Messages, most_tokens: int, asked: Mapping[str, Any]) -> dict[str, Any]:
        told = [{"role": one["role"], "content": one["content"]} for one in messages]
        return {
            "messages": told,
            "max_tokens": most_tokens,
            "temperature": 0.0,
            "cache_prompt": False,
            **asked,
        }

    def _require(self, reply: Any) -> None:
        """Raise LlmError where a reply is one."""
        error = reply.get("error") if isinstance(reply, dict) else {"message": f"no reply: {reply!r}"}
        if not error:
            return
        said, status = str(error.get("message", error)), int(error.get("code") or 0)
        problem = "the request is too long for the model" if "context size" in said else "llama.cpp failed"
        raise LlmError(f"{problem}: {said[:300]}", self._name, "Shorten the text.", status)
