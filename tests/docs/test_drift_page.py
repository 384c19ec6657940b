"""drift.md and drift.zh.md are followed literally: a product is served, the world changes, it is noticed and ended."""

import json
import re
import shlex

import pytest

from rung.journal.writer import Journal
from support import ROOT, run_cli, write_spec

HOWTO = ROOT / "docs" / "howto"
PAGES = ("drift.md", "drift.zh.md")


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_followed(page, built, news_csv, news_folder, tmp_path):
    from served_rows import write_rows

    text = (HOWTO / page).read_text(encoding="utf-8")
    (spec,) = re.findall(r"```yaml\n(.*?)```", text, re.S)
    path = write_spec(tmp_path, news_csv, extra=spec)
    journal = Journal(tmp_path / "service", "plain")
    sports = sorted((news_folder / "sports").glob("*.txt"))[120:270]
    write_rows(
        journal, built, [" ".join(p.read_bytes().decode("utf-8", "replace").split())[:500] for p in sports]
    )
    journal.close()
    (tmp_path / "service" / "champions.json").write_text(json.dumps({"desk": str(built.bundle)}))
    # The variable that holds the webhook's address is not set: that is said, and nothing else is lost.
    said = run_cli("drift", path, "--lang", "en", cwd=tmp_path)
    assert "the variable DRIFT_HOOK holds no address" in said.stderr and said.returncode == 3
    codes = []
    for line in "".join(re.findall(r"```bash\n(.*?)```", text, re.S)).splitlines():
        done = run_cli(*shlex.split(line)[1:], cwd=tmp_path)
        assert done.returncode in {0, 3}, (line, done.stderr)
        codes.append(done.returncode)
    assert codes == [3, 3, 0, 0, 0, 0]
    assert (tmp_path / "drift.html").is_file() and (tmp_path / "value.html").is_file()


def test_both_pages_show_the_same_commands_and_the_defaults_of_the_code():
    from rung.core.spec.drift import DriftSpec

    spec = DriftSpec()
    shown = [
        re.findall(r"```\w+\n(.*?)```", (HOWTO / page).read_text(encoding="utf-8"), re.S) for page in PAGES
    ]
    assert shown[0] == shown[1]
    for page in PAGES:
        text = (HOWTO / page).read_text(encoding="utf-8")
        assert f"{spec.tolerance:g}" in text and f"{spec.seconds:g}" in text
