"""Sound: a clip by reference. What it holds is read by the models of audio tasks."""

from __future__ import annotations

from rung.core.kind import MediaKind


class AudioKind(MediaKind):
    """A clip of sound."""

    name = "audio"
    suffixes = frozenset({".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a"})
    accepts = "audio/*"
