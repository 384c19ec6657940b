"""What can go wrong between rung and a language model, each with its fix."""

from __future__ import annotations

from rung.core.errors import RungError


class LlmError(RungError):
    """A language model cannot be asked, or its answer cannot be used. status: of HTTP; 0 without one.

    usd: what the calls that failed have charged.
    """

    def __init__(self, problem: str, where: str = "", fix: str = "", status: int = 0) -> None:
        super().__init__(problem, where, fix)
        self.status = status
        self.usd = 0.0


class LlmRefusal(LlmError):
    """The model refused to answer, by its `refusal` field or a content filter."""


class InvalidAnswer(LlmError):
    """The model answered, but not what the schema asks for."""


class CutOff(LlmError):
    """A streamed answer ended before the server said so. text: what had come."""

    def __init__(self, text: str, where: str) -> None:
        super().__init__(f"the stream broke off after {len(text)} characters", where, "Ask again.")
        self.text = text
