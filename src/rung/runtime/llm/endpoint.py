"""Addresses of language models: which hosts may be called, and which environment variable holds the key of each."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from rung.core.errors import did_you_mean
from rung.runtime.llm.errors import LlmError

# Short name -> (base address, environment variable of the key; "": needs none).
SERVICES: Mapping[str, tuple[str, str]] = {
    "local": ("http://127.0.0.1:8089/v1", ""),
    "ollama": ("http://127.0.0.1:11434/v1", ""),
    "vllm": ("http://127.0.0.1:8000/v1", ""),
    "llamacpp": ("http://127.0.0.1:8080/v1", ""),
    "openai": ("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "anthropic": ("https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
    "deepseek": ("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "qwen": ("https://dashscope.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY"),
    "moonshot": ("https://api.moonshot.cn/v1", "MOONSHOT_API_KEY"),
}
# Further hosts that may be called, separated by commas, and the key that they are sent.
HOSTS_VARIABLE, KEY_VARIABLE = "RUNG_LLM_HOSTS", "RUNG_LLM_API_KEY"
_KEYS = {urlsplit(base).netloc: key for base, key in SERVICES.values() if key}


@dataclass(frozen=True)
class Endpoint:
    """A model at an address. base: without `/chat/completions`. Its key is read from the environment at each call."""

    base: str
    model: str

    @property
    def host(self) -> str:
        """Return `host` or `host:port`."""
        return urlsplit(self.base).netloc.lower()

    @property
    def is_loopback(self) -> bool:
        """Return whether the model runs on this machine."""
        return is_loopback(self.host)

    @property
    def shown(self) -> str:
        """Return the model and its host, for messages."""
        return f"{self.model} at {self.host}"

    def headers(self) -> dict[str, str]:
        """Return the headers with the key of the host; raises LlmError naming the variable that is missing.

        The variable follows from the host alone: no file can choose which secret is sent where.
        """
        variable = _KEYS.get(self.host, KEY_VARIABLE)
        key = os.environ.get(variable, "").strip()
        if not key and self.host in _KEYS:
            fix = f"Set the environment variable {variable}; a key is never written into product.yaml or a bundle."
            raise LlmError(f"there is no key for {self.host}", variable, fix)
        if self.host not in _KEYS and self.host not in _listed_hosts():
            return {}  # A port of this machine that nobody listed gets no key.
        return {"Authorization": f"Bearer {key}"} if key else {}


def endpoint(service: str, model: str) -> Endpoint:
    """Return the endpoint of a known service ("deepseek") or an address; raises LlmError unless its host may be called.

    Allowed are the known services, this machine, and the hosts in $RUNG_LLM_HOSTS. Unencrypted HTTP is for this
    machine and for listed hosts.
    """
    base = SERVICES[service][0] if service in SERVICES else service.rstrip("/")
    parts = urlsplit(base)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        fix = f"{did_you_mean(service, SERVICES)} Or an address, such as http://127.0.0.1:8000/v1."
        raise LlmError(f"'{service[:80]}' is neither a known service nor an address", "service", fix)
    if "@" in parts.netloc:
        raise LlmError("the address holds a user or a password", "service", f"Set {KEY_VARIABLE} instead.")
    if not model:
        raise LlmError("no model is named", "model", "Give the full name with its version.")
    found = Endpoint(base, model)
    is_listed = found.host in _listed_hosts()
    if not (is_listed or found.is_loopback or found.host in _KEYS):
        fix = f"Set {HOSTS_VARIABLE}={found.host} in the environment, if rows may be sent there."
        raise LlmError(f"calls to '{found.host}' are not allowed", "service", fix)
    if parts.scheme == "http" and not (is_listed or found.is_loopback):
        raise LlmError(f"'{found.host}' would be called without encryption", "service", "Write https://.")
    return found


def _listed_hosts() -> set[str]:
    """Return the hosts that whoever runs this process allows."""
    return {host.strip().lower() for host in os.environ.get(HOSTS_VARIABLE, "").split(",") if host.strip()}


def is_loopback(host: str) -> bool:
    """Return whether a host, with or without a port, is this machine."""
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
