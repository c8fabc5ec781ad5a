"""Child processes with their output in files: started, waited for, and ended by their id."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

PATIENCE = 30.0
"""Seconds that anything may take before a test gives up on it."""


def poll(what, until, patience=PATIENCE):
    """Asks `until` again and again, and returns its first answer that is true."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if answer := until():
            return answer
        time.sleep(0.02)
    raise AssertionError(f"after {patience} s still not: {what}")


class Child:
    """A process of ours. Its output is read from files, so that no pipe can fill up, unless
    `options` say where else it goes."""

    def __init__(self, name: str, command: list, folder: Path, **options):
        self.name = name
        self._files = [folder / f"{name}.{stream}" for stream in ("stdout", "stderr")]
        self.log = self._files[0]
        with self._files[0].open("wb") as out, self._files[1].open("wb") as err:
            streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err}
            command = [str(word) for word in command]
            self._process = subprocess.Popen(command, **(streams | options))

    @property
    def pid(self) -> int:
        return self._process.pid

    def sockets(self) -> int:
        """How many sockets it has open."""
        files = Path(f"/proc/{self.pid}/fd")
        # A file may be closed while they are listed.
        return sum(
            os.path.realpath(file).split("/")[-1].startswith("socket:") for file in files.iterdir()
        )

    def resident(self) -> int:
        """Its resident memory in bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def stdout(self) -> str:
        return self._files[0].read_text()

    @property
    def stderr(self) -> str:
        return self._files[1].read_text()

    def find(self, pattern: str, patience=PATIENCE) -> str:
        """The first group of `pattern`, as soon as it stands in the output."""

        def look():
            ended = self._process.poll()
            if found := re.search(pattern, self.stdout) or re.search(pattern, self.stderr):
                return found
            assert ended is None, f"{self.name} ended with {ended}: {self.stderr}"
            return None

        return poll(f"{self.name} says {pattern}", look, patience).group(1)

    def wait(self, patience=PATIENCE) -> int:
        """The exit code, once it has ended by itself."""
        return self._process.wait(patience)

    def kill(self):
        """Ends it as a crash would."""
        self._process.kill()
        self._process.wait(PATIENCE)

    def end(self) -> int:
        """Ends it with SIGTERM, or with SIGKILL if that does not help; its exit code."""
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGTERM)
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
