"""Start Ray on this machine with everything it writes in one folder, or connect to a cluster and ask its machines."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rung.core.engine import Place
from rung.core.errors import RungError
from rung.engines.ray_watcher import HOME, end_leftovers, forget, watched

# Jobs and results are small: handles and paths.
_STORE_BYTES = 80 * 1024 * 1024
# One for the process: Ray reads it once.
_TOKEN = secrets.token_hex(32)
_PROBE_SECONDS = 60.0
# Fits that may take so long are stopped by the clock of the machine that runs them.
_CLOCK_SECONDS = 30.0
_QUIET = {
    # The first error of a map is raised; Ray would print the others of the same fit once more at exit.
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@contextmanager
def started(place: Place) -> Iterator[None]:
    """Run Ray on this machine inside the block, with a token of its own and all its files below place.home.

    Its sockets need paths shorter than 107 characters: a link in the system's temporary folder leads there. What a killed
    build left below place.home is ended first; if this one is killed, a watcher ends what it started.
    """
    import ray

    home = place.home.resolve()
    end_leftovers(home)
    shutil.rmtree(home, ignore_errors=True)
    place.home.mkdir(parents=True)
    token = place.home / "token"
    token.touch(mode=0o600)
    token.write_text(_TOKEN, encoding="ascii")
    link = Path(tempfile.mkdtemp(prefix="rung-")) / "ray"
    link.symlink_to(home, target_is_directory=True)
    # Where no mode is set, a local Ray asks for the token that it finds.
    own = {
        "RAY_AUTH_MODE": None,
        "RAY_AUTH_TOKEN_PATH": str(token.resolve()),
        "RAY_ADDRESS": None,
        HOME: str(home),
    }
    own["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        with watched(home, link), _environment(own):
            _start(place, link)
            try:
                yield
            finally:
                ray.shutdown()
    finally:
        forget(home, link)


def _start(place: Place, link: Path) -> None:
    """Start Ray, a second time where its parts have not met in its 30 seconds: on a busy machine that happens."""
    import ray

    for attempt in (1, 2):
        try:
            ray.init(
                address="local", num_cpus=_cpus(place), object_store_memory=_STORE_BYTES, log_to_driver=False,
                include_dashboard=False, logging_level="error", _temp_dir=str(link), _node_ip_address="127.0.0.1",
                _system_config={"task_oom_retries": 1},
            )  # fmt: skip
            return
        except Exception as error:  # Ray raises plain ones.
            if attempt == 2:
                said = (str(error).strip().splitlines() or [type(error).__name__])[0]
                fix = "Try again when the machine is less busy, or use --workers instead of Ray."
                raise RungError(f"Ray did not start on this machine: {said}", "engine", fix) from error


def _cpus(place: Place) -> int:
    """Return the processors that Ray may use here: what the workers need, by default all."""
    return place.workers * place.threads if place.workers else max(os.cpu_count() or 1, place.threads)


@contextmanager
def connected(address: str, place: Place) -> Iterator[None]:
    """Use a cluster that runs: its machines have our versions and see our files. Raises RungError where they do not."""
    import ray

    with _environment({}):
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error")
        except ImportError as error:
            raise RungError(
                f"connecting from outside a cluster: {error}", "engine", "pip install grpcio"
            ) from None
        except Exception as error:
            raise _not_connected(address, error) from error
        try:
            require_same(place)
            yield
        finally:
            ray.shutdown()


def require_same(place: Place) -> None:
    """Ask every machine of the cluster for its versions and for a file of place.shared; raises RungError."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    shared = (place.shared or place.home).resolve()
    shared.mkdir(parents=True, exist_ok=True)
    seen = shared / f".seen-{secrets.token_hex(8)}"
    seen.write_text("rung", encoding="ascii")
    try:
        # Two nodes of one machine have one name.
        asked, since = [], time.time()
        for node in ray.nodes():
            if node["Alive"]:
                where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                task = ray.remote(num_cpus=0, max_retries=1, scheduling_strategy=where)(_told)
                host = node.get("NodeManagerHostname") or node["NodeManagerAddress"]
                asked.append((host, task.remote(str(seen))))
        mine = _versions()
        for host, reference in asked:
            answer = _answer_of(host, reference)
            if answer is None:
                continue
            _require_answer(host, answer, mine, shared)
            _require_clock(host, answer["clock"], since, time.time())
    finally:
        seen.unlink(missing_ok=True)


def _told(path: str) -> dict[str, Any]:
    """Return what a machine of the cluster says of itself."""
    return {"versions": _versions(), "sees": Path(path).is_file(), "clock": time.time()}


def _versions() -> dict[str, str]:
    import ray

    return {"Python": "{}.{}.{}".format(*sys.version_info), "Ray": ray.__version__, "rung": version("rung")}


def _answer_of(host: str, reference: Any) -> dict[str, Any] | None:
    """Return what a machine says of itself; None where it was lost since the cluster named it, and runs no job."""
    import ray

    try:
        answer: dict[str, Any] = ray.get(reference, timeout=_PROBE_SECONDS)
    except ray.exceptions.GetTimeoutError:
        fix = "Look at this machine with `ray status`."
        raise RungError(
            f"the machine {host} gave no answer in {_PROBE_SECONDS:.0f} s", "engine", fix
        ) from None
    except (
        ray.exceptions.TaskUnschedulableError,
        ray.exceptions.NodeDiedError,
        ray.exceptions.WorkerCrashedError,
    ):
        return None
    except ray.exceptions.RayTaskError as error:
        fix = "Install the same version of rung on every machine of the cluster."
        raise RungError(f"the machine {host} cannot run rung: {error.cause!r}", "engine", fix) from None
    return answer


def _require_answer(host: str, answer: dict[str, Any], mine: dict[str, str], shared: Path) -> None:
    """Raise RungError for a machine whose versions differ or that does not see the shared folder."""
    for what, wanted in mine.items():
        found = answer["versions"][what]
        if found != wanted:
            problem = f"the machine {host} has {what} {found}; here it is {wanted}"
            raise RungError(problem, "engine", "Install the same versions everywhere: results would differ.")
    if not answer["sees"]:
        fix = "Put the run folder (--run) and the data on a disk that all machines mount at the same path."
        raise RungError(f"the machine {host} does not see this folder", str(shared), fix)


def _require_clock(host: str, clock: float, asked: float, answered: float) -> None:
    """Raise RungError for a machine whose clock lies outside of the time in which it was asked and answered (Unix times)."""
    apart = max(asked - clock, clock - answered)
    if apart > _CLOCK_SECONDS:
        side = "behind" if clock < asked else "ahead of"
        fix = "Set the clocks of all machines (NTP): `budget.minutes` would end fits at the wrong time."
        raise RungError(f"the clock of the machine {host} is {apart:.0f} s {side} this one", "engine", fix)


def _not_connected(address: str, error: Exception) -> RungError:
    """Return why a cluster cannot be used, in words."""
    text = str(error).strip()
    if "ersion mismatch" in text or "Version mismatch" in text:
        fix = "Install the same versions of Python and Ray everywhere."
        return RungError(f"versions differ: {' '.join(text.split())}", address, fix)
    if "oken" in text or "nauthenticated" in text:
        fix = "Set RAY_AUTH_TOKEN_PATH to a copy of the cluster's token."
        return RungError("the cluster refuses this token", address, fix)
    first = text.splitlines()[0] if text else type(error).__name__
    fix = (
        "Start one with `ray start --head`, or leave out the address: `--engine ray` starts Ray here. "
        "Where it asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH."
    )
    return RungError(f"no Ray cluster answers: {first}", address, fix)


@contextmanager
def _environment(more: dict[str, str | None]) -> Iterator[None]:
    """Set variables that Ray's processes inherit, quiet ones always; None removes one. They are put back after."""
    wanted = {**_QUIET, **more}
    before = {name: os.environ.get(name) for name in wanted}
    try:
        _set(wanted)
        yield
    finally:
        _set(before)


def _set(variables: dict[str, str | None] | dict[str, str]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
