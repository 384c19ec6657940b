"""PostgreSQL's server on a folder of its own, where its programs are installed (Debian: postgresql)."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from server_process import free_port
from waiting import LONG


def programs():
    """Return the folder of `initdb`, or skip. RUNG_POSTGRESQL may name it."""
    places = [Path(os.environ.get("RUNG_POSTGRESQL", "/nowhere")), *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]  # fmt: skip
    if on_path := shutil.which("initdb"):
        places.append(Path(on_path).parent)
    found = [place for place in places if (place / "initdb").is_file()]
    return found[-1] if found else pytest.skip("PostgreSQL is missing: apt-get install postgresql")


class Cluster:
    """A cluster with one user, `journal`, and one database, `postgres`.

    durable: commits reach the disk. port: on loopback; None: only the socket in `folder`.
    """

    def __init__(self, durable=False, listens=False):
        # Sockets have short paths, and pytest's folders may not be entered by another user.
        self.where, self.folder = programs(), Path(tempfile.mkdtemp(prefix="rung-postgresql-"))
        # PostgreSQL does not run as root.
        self.who = "postgres" if os.geteuid() == 0 else None
        if self.who:
            if not any(entry.pw_name == self.who for entry in pwd.getpwall()):
                pytest.skip("PostgreSQL does not run as root, and there is no user 'postgres'")
            shutil.chown(self.folder, self.who)
        self.port = free_port() if listens else None
        self.options = f"-c unix_socket_directories='{self.folder}' -c fsync={'on' if durable else 'off'}"
        self.options += (
            f" -c listen_addresses=127.0.0.1 -p {self.port}" if listens else " -c listen_addresses=''"
        )
        self.data = str(self.folder / "data")
        self.run("initdb", "-D", self.data, "-U", "journal", "--auth=trust", "-E", "UTF8", "--no-sync")

    def run(self, program, *words):
        done = subprocess.run(
            [str(self.where / program), *words], user=self.who, cwd=self.folder, capture_output=True, text=True, timeout=LONG, check=False
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self):
        self.run("pg_ctl", "-D", self.data, "-w", "-t", str(int(LONG)), "-l", str(self.folder / "log"), "-o", self.options, "start")  # fmt: skip

    def stop(self, mode="immediate"):
        self.run("pg_ctl", "-D", self.data, "-m", mode, "stop")

    @property
    def url(self):
        return f"postgresql://journal@127.0.0.1:{self.port}/postgres"

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)
