"""What a replay found, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.core.messages import count, say


def lines(found: Mapping[str, Any], lang: str) -> list[str]:
    """Return the estimate first, then the gain, the second estimate, and what limits them. found: `Replay.as_dict`."""
    estimate, gain = found["estimate"], found["gain"]
    ips, snips = estimate["ips"], estimate["snips"]
    confidence = f"{found['confidence'] * 100:g}"
    said = [
        say("replay.ips", lang, confidence=confidence, **_figures(ips)),
        say("replay.served", lang, n=estimate["requests"], served=f"{found['served']:.4f}"),
        say(f"replay.gain_{_verdict(gain)}", lang, confidence=confidence, **_figures(gain)),
    ]
    if snips is None:
        said.append(say("replay.no_snips", lang, effective=f"{estimate['effective']:.0f}"))
    else:
        said.append(say("replay.snips", lang, confidence=confidence, **_figures(snips)))
    shares = {
        "agreeing": count(estimate["agreeing"], lang),
        "supported": f"{estimate['supported'] * 100:.0f}%",
        "effective": f"{estimate['effective']:.0f}",
    }
    said.append(say("replay.support", lang, **shares))
    if found["learned"]:
        said.insert(0, say("replay.learned", lang))
    if estimate["doubtful"]:
        said.append(say("replay.doubtful", lang))
    said += [say(f"replay.left_{reason}", lang, n=n) for reason, n in found["left_out"].items()]
    return [*said, say("replay.assumes", lang)]


def _figures(interval: Mapping[str, Any]) -> dict[str, str]:
    return {key: f"{interval[key]:.4f}" for key in ("value", "low", "high")}


def _verdict(gain: Mapping[str, Any]) -> str:
    return "more" if gain["low"] > 0.0 else "fewer" if gain["high"] < 0.0 else "open"
