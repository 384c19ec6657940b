"""Runs the server: opens bundles and journal, checks host, port and keys, and shuts down gracefully."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rung.core.errors import MissingExtra, RungError
from rung.core.logs import log, log_to_stderr
from rung.serving import audit_log
from rung.serving.bundle_source import (
    BundleSource,
    find_bundle_source,
    record_first_champion,
    shared_settings,
)
from rung.serving.http.api_keys import KeyStore
from rung.serving.http.app import create_app
from rung.serving.http.middleware import is_loopback
from rung.serving.http.protocol import http_protocol
from rung.serving.http.shared_limit import SharedRateLimit
from rung.serving.model_registry import ModelRegistry
from rung.serving.predictor import open_bundle
from rung.serving.promotion import service_lock
from rung.serving.service import Service
from rung.serving.shared_state import SharedFolder, shared_folder

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from rung.journal.writer import Journal

# Running requests may finish within this time after SIGTERM.
_SHUTDOWN_SECONDS = 30


def serve(
    bundles: Sequence[str | Path],
    host: str = "127.0.0.1",
    port: int = 8000,
    uncertified: bool = False,
    folder: str | Path | None = None,
    journal: bool = True,
    tls: tuple[str, str] | None = None,
) -> None:
    """Serve until interrupted, then finish running requests.

    bundles: bundles, runs or products. folder: folder of keys, journal and audit trail; default: the product's
    `serve.folder`, or none for bundles. tls: certificate file and key file. Raises BundleError for an uncertified
    bundle unless `uncertified`; RungError for a host beyond this machine without API keys.
    """
    _check_tls_files(tls)
    given = Path(folder) if folder is not None else None
    sources = [find_bundle_source(Path(bundle), given) for bundle in bundles]
    limits, own = shared_settings(sources)
    place = given or own
    # Hash and load the bundles in a thread while the other imports run.
    with ThreadPoolExecutor(1) as aside:
        opening = aside.submit(lambda: [open_bundle(source.find()) for source in sources])
        _preload_imports(journal and place is not None)
        predictors = opening.result()
    shared = shared_folder(place) if place is not None else None
    if shared is not None:
        with (
            shared.edit()
        ):  # What other servers know of keys and champions is there before anything is decided.
            pass
    keys = KeyStore(place) if place is not None else None
    _require_keys(host, keys, place)
    service = Service(limits=limits, keys=keys, folder=place, local_only=is_loopback(host), watch=True)
    # Checked before the journal is opened, so that a refused bundle creates no files.
    locators = {p.manifest.name: s.find for p, s in reversed(list(zip(predictors, sources, strict=True)))}
    ModelRegistry(predictors, uncertified)
    _require_free_port(host, port)
    if journal and place is not None:
        service = replace(service, journal=_open_journal(place, service))
    if shared is not None:
        service = replace(service, rate_limit=SharedRateLimit(shared.engine))
    app = create_app(predictors, uncertified, service, locators)
    log_to_stderr()
    if place is not None:
        _record_champions(sources, place)
    if keys is None or not keys.in_use():
        log("development mode: no API keys, so only local requests are accepted", logging.WARNING, host=host)
    log(
        "serving", host=host, port=port, models=[p.manifest.name for p in predictors],
        journal=service.journal.name if service.journal else None,
        inputs=service.journal.encoder.input_mode if service.journal else None,
    )  # fmt: skip
    _raise_file_limit()
    with _following(shared):
        _run(app, (host, port), tls)


def _run(app: Starlette, address: tuple[str, int], tls: tuple[str, str] | None) -> None:
    """Answer requests until interrupted."""
    import uvicorn

    certificate, key = tls or (None, None)
    uvicorn.run(
        app, host=address[0], port=address[1], log_config=None, access_log=False, server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS, http=http_protocol(), ws="none", ssl_certfile=certificate, ssl_keyfile=key,
    )  # fmt: skip


def _in_step(place: Path | None) -> SharedFolder | None:
    """Return what keeps the service folder in step with other servers, brought there now; None where no journal is shared."""
    shared = shared_folder(place) if place is not None else None
    if shared is not None:
        with shared.edit():
            pass
    return shared


@contextmanager
def _following(shared: SharedFolder | None) -> Iterator[None]:
    """Follow what other servers change of keys and champions while the block runs."""
    stop = threading.Event()
    if shared is not None:
        threading.Thread(target=shared.follow, args=(stop,), name="rung-shared", daemon=True).start()
    try:
        yield
    finally:
        stop.set()


def _check_tls_files(tls: tuple[str, str] | None) -> None:
    """Raise RungError unless certificate and key are files that belong together."""
    if tls is None:
        return
    import ssl

    fix = "Give certificate and key as PEM files."
    for file in tls:
        if not Path(file).is_file():
            raise RungError("there is no such file", file, fix)
    try:
        # Without a password OpenSSL would prompt for an encrypted key's password and block.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*tls, password="")
    except (OSError, ValueError) as error:
        raise RungError(f"it cannot be used: {error}", f"{tls[0]}, {tls[1]}", fix) from None


def _preload_imports(journal: bool) -> None:
    """Import uvicorn and, where wanted and installed, the journal."""
    import uvicorn  # noqa: F401

    with suppress(ImportError):
        if journal:
            import rung.journal.writer  # noqa: F401


def _open_journal(place: Path, service: Service) -> Journal:
    try:
        from rung.journal.writer import Journal
    except ImportError:
        raise MissingExtra("the journal (else: --no-journal)", "ops", "SQLAlchemy") from None
    return Journal(place, service.limits.inputs, service.limits.keep_days)


def _record_champions(sources: Sequence[BundleSource], place: Path) -> None:
    """Record what products serve, where no champion is recorded: no build then changes what serves."""
    try:
        with service_lock(place):
            for source in sources:
                bundle = record_first_champion(source, place)
                if bundle is not None:
                    audit_log.record(place, "rung serve", "champion", source.name or "", bundle=str(bundle))
                    log("champion recorded", model=source.name, bundle=str(bundle))
    except (OSError, RungError) as error:
        # A folder that nobody may write to can be served without a journal.
        problem = error.problem if isinstance(error, RungError) else str(error.strerror)
        log(
            "champion not recorded: a later build may serve after a restart", logging.WARNING, problem=problem
        )


def _require_keys(host: str, keys: KeyStore | None, place: Path | None) -> None:
    """Raise RungError for a host beyond this machine without API keys."""
    if is_loopback(host) or (keys is not None and keys.in_use()):
        if keys is not None:
            keys.all()  # Raises for a damaged key file now instead of at the first request.
        return
    where = f" --folder {place}" if place is not None else " --folder service"
    raise RungError(
        "without API keys the server only accepts local requests", f"--host {host}",
        f"Create one: rung keys create NAME --role predict{where}" + ("" if place else ", and serve with that --folder."),
    )  # fmt: skip


def _raise_file_limit() -> None:
    """Raise the limit of open files to the system's maximum for this process; the default is often 1,024."""
    try:
        import resource
    except ImportError:  # Windows
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _require_free_port(host: str, port: int) -> None:
    """Raise RungError if the address cannot be bound."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise RungError(
            f"cannot listen on this address: {error.strerror}",
            f"{host}:{port}",
            "Choose another --port or --host.",
        ) from None
