"""Jobs for engines: they live where the processes that run them find them."""

import os
import signal
import sys
import threading
import time
from pathlib import Path


def square(number):
    sys.stdout.write("printed by a job\n")
    return number * number


def threads_and_process(_):
    return os.environ["OMP_NUM_THREADS"], os.getpid()


def refuse(number):
    raise ValueError(f"{number} is refused")


def refuse_in_words_that_do_not_travel(number):
    error = ValueError("no")
    error.held = threading.Lock()
    raise error


def die_unless_begun_before(marker):
    """End the process the first time."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def hold_memory_and_die(megabytes):
    held = bytearray(megabytes * 1_000_000)
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
    return len(held)


def run_out_of_memory(_):
    raise MemoryError("Unable to allocate 800 GiB")


def wait_and_note(job):
    folder, number, seconds = job
    time.sleep(seconds)
    (Path(folder) / str(number)).touch()
    return number


def reach_its_limit(megabytes):
    """Ask for more memory than the process may have."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + megabytes * 500_000, before[1]))
    try:
        return len(bytearray(megabytes * 1_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
