"""The chat application as a process of its own, without a gateway."""

import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

AGENT = Path(__file__).parents[1]
THREAD = "4aba8e44-6900-4c76-8b33-f8b96ca0e75b"
PATIENCE = 30.0
"""Seconds that anything may take before a test gives up on it."""


@contextmanager
def chat(folder: Path, files: int | None = None) -> Iterator[tuple]:
    """Its address, and what it has written to standard error so far."""
    out, err = folder / "stdout", folder / "stderr"

    def limit() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    command = [sys.executable, "-m", "chat", "--listen", "127.0.0.1:0"]
    command += ["--gateway", "http://127.0.0.1:1/mcp", "--database", str(folder / "threads.db")]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            command, cwd=AGENT, stdout=stdout, stderr=stderr, preexec_fn=limit, env=environment
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(r"http://([\d.]+):(\d+)\n", out.read_text())):
            assert process.poll() is None and time.monotonic() < deadline, err.read_text()
            time.sleep(0.02)
        yield (found[1], int(found[2])), err.read_text
        assert process.poll() is None, err.read_text()
    finally:
        process.terminate()
        process.wait(PATIENCE)
