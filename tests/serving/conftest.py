"""A server's parts in small: a service folder with a key for each role, and an application over a real bundle."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient

import rung
from rung.core.spec.serve import ServeSpec
from rung.journal.writer import Journal
from rung.serving.http.api_keys import ROLES, KeyStore
from rung.serving.http.app import create_app
from rung.serving.service import Service


@pytest.fixture(scope="session")
def desk(built):
    return rung.load(built.bundle)


@pytest.fixture
def opened(desk, tmp_path):
    """Open an application with journal, and with keys unless told otherwise; close it when the block ends."""

    @contextmanager
    def open_(keys=True, folder=None, predictors=None, **limits):
        folder = folder or tmp_path / "service"
        store = KeyStore(folder)
        shown = {role: store.create(role, role)[1] for role in ROLES} if keys else {}
        spec = ServeSpec(**limits)
        journal = Journal(folder, spec.inputs, spec.keep_days)
        service = Service(limits=spec, keys=store, journal=journal, folder=folder)
        with TestClient(create_app(predictors or [desk], service=service)) as client:
            headers = {role: {"Authorization": f"Bearer {key}"} for role, key in shown.items()}
            yield SimpleNamespace(
                client=client, headers=headers, keys=store, journal=journal, folder=folder, service=service
            )
        journal.close()

    return open_
