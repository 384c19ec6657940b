"""Waiting for what must come: until a deadline that only a broken program reaches, however busy the machine is."""

import time

# No test waits so long for what works; one that asserts a time would fail on a busy core.
LONG = 240.0


def wait_until(probe, what="it", pause=0.02, seconds=LONG):
    """Return the first true value of `probe()`. what: said when it does not come; called first when it can be."""
    until = time.monotonic() + seconds
    while not (found := probe()):
        if time.monotonic() > until:
            raise AssertionError(f"did not come in {seconds:g} s: {what() if callable(what) else what}")
        time.sleep(pause)
    return found
