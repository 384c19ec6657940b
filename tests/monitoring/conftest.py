"""Rows that the small build did not see."""

import pytest


@pytest.fixture(scope="session")
def fresh_rows(news_folder):
    """Articles that the small build did not see, by class."""
    found = {}
    for place in sorted(p for p in news_folder.iterdir() if p.is_dir()):
        paths = sorted(place.glob("*.txt"))[120:320]
        found[place.name] = [" ".join(p.read_bytes().decode("utf-8", "replace").split())[:500] for p in paths]
    return found
