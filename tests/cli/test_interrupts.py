"""Ctrl-C ends the pages of `rung label` with the totals and the next step, however early it comes and however they were started."""

import signal
import subprocess
import sys
import time

import pytest

from support import write_csv

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


@pytest.mark.parametrize("how", STARTED)
@pytest.mark.parametrize("early", [False, True])
def test_the_page_ends(tmp_path, how, early):
    write_csv(tmp_path / "rows.csv", ["text"], [[f"word {i} of row {i * i}"] for i in range(60)])
    (tmp_path / "product.yaml").write_text(SPEC, encoding="utf-8")
    code = f"{STARTED[how]}import os, sys; os.execv(sys.executable, [sys.executable, '-m', 'rung.cli', 'label', 'product.yaml'])"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        if early:
            # Once Python and the command's own module are loaded, while it still imports the rest.
            time.sleep(0.6)
        else:
            lines = iter(process.stderr.readline, "")
            assert any("http://127.0.0.1:" in line for line in lines)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode in ({0, 130, -signal.SIGINT} if early else {0})
    if not early:
        assert "Labelled rows: 0" in out
