"""An app that answers on a free port while a test runs."""

import socket
import threading
from contextlib import contextmanager

import uvicorn

from waiting import wait_until


@contextmanager
def answering(make_app):
    """Yield "127.0.0.1:port", where the app that `make_app` makes for it answers from a thread."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{listening.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(make_app(host), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            wait_until(lambda: server.started, "the server")
            yield host
        finally:
            server.should_exit = True
            thread.join()
