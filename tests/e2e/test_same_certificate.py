"""Building the same product again gives the same bundle and its certificate, and spends nothing."""

import json

import rung
from support import write_spec


def test_a_rebuild_gets_its_certificate_again_without_a_look(news_csv, tmp_path):
    spec = write_spec(tmp_path, news_csv)
    first = rung.build(spec, run=tmp_path / "one")
    # Other bundles wear the rows out until no new look could be predicted to pass.
    lock = tmp_path / "certificate.lock"
    content = json.loads(lock.read_text())
    (look,) = content["looks"]
    failed = {**look, "outcome": "failed", "published": None, "transcripts": 1}
    # These stand for looks of other builds; a seal would be of each.
    failed.pop("seal")
    content["looks"] += [{**failed, "id": 2 + i, "bundle": f"other {i}"} for i in range(60)]
    lock.write_text(json.dumps(content))
    second = rung.build(spec, run=tmp_path / "two")
    assert first.cleared and second.cleared
    assert second.report["certificate"] == first.report["certificate"]
    assert json.loads(lock.read_text()) == content
    again = next(t for t in second.report["trials"] if t["rung"] == second.report["winner"])
    assert again["predicted_bounds"][0] < 0.7
