"""Post JSON to a webhook, with retries and a time limit.

The address is never logged: it may contain a secret.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from rung.core.errors import RungError

_MAX_ATTEMPTS = 3
_BACKOFF_SECONDS = 0.5


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirects: the address may contain a secret, which must not be sent to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


def post_json(
    address: str, body: Mapping[str, Any], timeout_seconds: float, backoff_seconds: float = _BACKOFF_SECONDS
) -> None:
    """Post a body as JSON and return once it is accepted (2xx).

    Makes up to three attempts of `timeout_seconds` each.

    Raises RungError, which names the host only.
    """
    data = json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "rung"}
    opener = urllib.request.build_opener(_NoRedirect)
    problem = ""
    for nth in range(_MAX_ATTEMPTS):
        if nth:
            time.sleep(backoff_seconds * 2 ** (nth - 1))
        request = urllib.request.Request(address, data, headers, method="POST")  # noqa: S310 - checked by the spec
        try:
            with opener.open(request, timeout=timeout_seconds) as answer:
                # Reading a little closes the connection cleanly. The content does not matter.
                answer.read(1_024)
                return
        except urllib.error.HTTPError as error:
            error.close()
            problem = f"it answered {error.code}"
            if error.code < 500 and error.code not in {408, 429}:
                break
        except (OSError, ValueError) as error:
            problem = f"it cannot be reached ({type(error).__name__})"
    host = urlsplit(address).hostname or "webhook"
    raise RungError(
        f"the alarm could not be sent: {problem}", host, "The next `rung drift` tries again."
    ) from None
