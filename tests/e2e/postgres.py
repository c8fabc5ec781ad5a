"""A PostgreSQL of Debian's, in a folder of the test, on a free port of loopback."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from processes import Child, poll

PASSWORD = "a-password-of-a-test"


def binaries() -> Path | None:
    """The newest server that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else None


def as_nobody_special() -> list:
    """The server refuses to run as root."""
    if os.getuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


class Postgres:
    """A server with one database; its options make the ticket API use it."""

    def __init__(self, folder: Path):
        bin = binaries()
        if bin is None:
            if os.environ.get("CI"):
                pytest.fail("PostgreSQL is not installed")
            pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
        # The folder of a test may only be entered by its owner, who may be root.
        self._folder = Path(tempfile.mkdtemp(prefix="postgres."))
        password = self._folder / "password"
        with open(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(PASSWORD)
        if as_nobody_special():
            for place in (self._folder, password):
                shutil.chown(place, "postgres", "postgres")
        data = self._folder / "data"
        initdb = [bin / "initdb", "-D", data, "-U", "tickets", "-A", "scram-sha-256", "-N"]
        initdb += ["--pwfile", password, "-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run([*as_nobody_special(), *initdb], check=True, stdout=subprocess.DEVNULL)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        settings = [f"port={port}", "listen_addresses=127.0.0.1", "fsync=off"]
        settings += [f"unix_socket_directories={self._folder}", "timezone=UTC"]
        options = [word for setting in settings for word in ("-c", setting)]
        command = [*as_nobody_special(), bin / "postgres", "-D", data, *options]
        self._child = Child("postgres", command, folder)
        self._url = f"postgres://tickets@127.0.0.1:{port}/postgres"
        self._psql = [bin / "psql", "-X", "-A", "-t", "-F", "\t", self._url, "-c"]
        setting = {"DATABASE_URL": self._url, "DATABASE_PASSWORD_FILE": str(password)}
        self.options = {"arguments": [], "env": setting}
        poll("PostgreSQL answers", lambda: self._ask("SELECT 1").returncode == 0)

    def _ask(self, statement: str) -> subprocess.CompletedProcess:
        environment = os.environ | {"PGPASSWORD": PASSWORD}
        command = [*self._psql, statement]
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    def tickets(self) -> list:
        """(title, created_by, organization_id) of every row."""
        answer = self._ask("SELECT title, created_by, organization_id FROM tickets")
        assert answer.returncode == 0, answer.stderr
        return [tuple(line.split("\t")) for line in answer.stdout.splitlines()]

    def end(self):
        assert self._child.end() == 0
        shutil.rmtree(self._folder)
