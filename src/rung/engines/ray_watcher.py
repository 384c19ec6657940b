"""A process that ends Ray of this machine when the build that started it is killed: `python -m rung.engines.ray_watcher`.

Ray's own parts notice a killed build at very different times: its scheduler at once, its agents after a minute or more. All
of them, and the workers that they started, carry HOME in their environment or hold a file below it; Linux alone shows it.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rung.core.child_process import child_environment

# Names the folder of a build's own Ray in the environment of every process of it.
HOME = "RUNG_RAY_HOME"
_DONE = b"done"
# It is looked so often whether the build lives, and so long for processes that are not there any more.
_LOOK_SECONDS, _END_SECONDS = 0.2, 10.0
_PROCESSES = Path("/proc")


@contextmanager
def watched(home: Path, link: Path) -> Iterator[None]:
    """Have Ray below `home` ended, and both folders deleted, if this process is killed inside the block.

    link: the short way to `home`, in a folder of its own.
    """
    environment = child_environment()
    environment.pop(HOME, None)
    watcher = subprocess.Popen(
        [sys.executable, "-m", "rung.engines.ray_watcher", str(home), str(link), str(os.getpid())],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield
    finally:
        with suppress(OSError):  # Somebody ended the watcher.
            watcher.communicate(_DONE)


def end_leftovers(home: Path) -> int:
    """End what is left of Ray that was started below `home`, and return how many processes that were."""
    ended: set[int] = set()
    until = time.monotonic() + _END_SECONDS
    while (found := _processes_of(home)) and time.monotonic() < until:
        for process in found:
            with suppress(OSError):  # It has just ended.
                os.kill(process, signal.SIGKILL)
        ended.update(found)
        time.sleep(0.05)  # What one of them was about to start is found the next time.
    return len(ended)


def forget(home: Path, link: Path) -> None:
    """Delete what Ray wrote, and the way there."""
    link.unlink(missing_ok=True)
    with suppress(OSError):
        link.parent.rmdir()
    shutil.rmtree(home, ignore_errors=True)


def _processes_of(home: Path) -> list[int]:
    """Return the processes that carry `home` in their environment or hold a file below it, without this one.

    Agents that give themselves a title write it over their environment; they keep their logs open. None where the system does
    not tell.
    """
    wanted, found = f"{HOME}={home}".encode(), []
    for process in _PROCESSES.glob("[0-9]*"):
        with suppress(OSError):  # Of somebody else, or just ended.
            held = (process / "environ").read_bytes().split(b"\0")
            is_ours = wanted in held or _holds_file(process, f"{home}{os.sep}")
            if is_ours and int(process.name) != os.getpid():
                found.append(int(process.name))
    return found


def _holds_file(process: Path, below: str) -> bool:
    for link in (process / "fd").iterdir():
        with suppress(OSError):  # Closed meanwhile.
            if str(link.readlink()).startswith(below):
                return True
    return False


def main(home: Path, link: Path, build: int) -> None:
    """Wait for a word from the build; where it ends without one, end what it started."""
    while os.getppid() == build:
        if select.select([0], [], [], _LOOK_SECONDS)[0]:
            if os.read(0, len(_DONE)) == _DONE:
                return
            break
    end_leftovers(home)
    forget(home, link)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
