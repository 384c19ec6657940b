"""The small world of these tests is a module beside them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def fresh_rows(news_folder):
    """Articles that the small build did not see, by class."""
    found = {}
    for place in sorted(p for p in news_folder.iterdir() if p.is_dir()):
        paths = sorted(place.glob("*.txt"))[120:320]
        found[place.name] = [" ".join(p.read_bytes().decode("utf-8", "replace").split())[:500] for p in paths]
    return found
