"""Read YAML tables that ship with the package."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any


@cache
def packaged_table(name: str) -> Mapping[str, Any]:
    """Return the mapping in `core/<name>.yaml`. It is shared: not to be changed."""
    import yaml

    found: Mapping[str, Any] = yaml.safe_load(
        Path(__file__).with_name(f"{name}.yaml").read_text(encoding="utf-8")
    )
    return found
