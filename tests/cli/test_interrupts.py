"""Ctrl-C ends the pages of `rung label` with the totals and the next step, however early it comes and however they were started."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support import write_csv
from waiting import LONG, wait_until

SPEC = """task: text_classification
data: {path: rows.csv, input: text, target: queue}
bar: {metric: accuracy, at_least: 0.6}
labelling: {labels: [bill, parcel], weights: none}
"""
# A shell starts a background job with SIGINT ignored; what it starts inherits that.
STARTED = {
    "by hand": "",
    "as a job": "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n",
}


def started(folder, how):
    """Return `rung label` on texts without labels, as a process."""
    write_csv(folder / "rows.csv", ["text"], [[f"word {i} of row {i * i}"] for i in range(60)])
    (folder / "product.yaml").write_text(SPEC, encoding="utf-8")
    code = f"{STARTED[how]}import os, sys; os.execv(sys.executable, [sys.executable, '-m', 'rung.cli', 'label', 'product.yaml'])"
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("how", STARTED)
def test_the_page_ends_with_totals_and_the_next_step(tmp_path, how):
    process = started(tmp_path, how)
    try:
        assert any("http://127.0.0.1:" in line for line in iter(process.stderr.readline, ""))
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=LONG)
    finally:
        process.kill()
    assert process.returncode == 0 and "Labelled rows: 0" in out


_FALLS_INTO_A_CALLBACK = """
import signal, weakref
from fastapi import FastAPI
from rung.annotation.app import serve_labelling_page

def interrupted(_address):
    thing = {"a set"}
    watched = weakref.ref(thing, lambda _gone: signal.raise_signal(signal.SIGINT))
    del thing
    assert watched() is None

before = signal.getsignal(signal.SIGINT)
serve_labelling_page(lambda _token, _hosts: FastAPI(), 0, interrupted)
assert signal.getsignal(signal.SIGINT) is before
print("ended")
"""


def test_an_interrupt_ends_the_page_wherever_it_falls():
    """Python forgets what is raised in the callback of a weak reference: KeyboardInterrupt too."""
    done = subprocess.run(
        [sys.executable, "-c", _FALLS_INTO_A_CALLBACK], capture_output=True, text=True, timeout=LONG
    )
    assert done.stdout == "ended\n", done.stderr


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads which signals a process handles")
def test_a_job_heeds_an_interrupt_before_its_page_is_there(tmp_path):
    process = started(tmp_path, "as a job")

    def heeds():
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        caught = int(status.split("SigCgt:")[1].split()[0], 16)
        return b"rung.cli" in Path(f"/proc/{process.pid}/cmdline").read_bytes() and caught & 1 << (
            signal.SIGINT - 1
        )

    try:
        wait_until(heeds, "the command heeds SIGINT", pause=0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=LONG)
    finally:
        process.kill()
    assert process.returncode != 0 and "http://" not in said
