"""The programs that say what real servers make of a thing, and whether they can run here."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from feature_runs import NODE_FOLDER, node_command
from gateway import BINARIES

HERE = Path(__file__).parent
TARGET = BINARIES.parent
MCP1_PYTHON = TARGET / "e2e-mcp1" / "bin" / "python"
"""The Python with mcp 1.x, which cannot live beside mcp 2.x; tests/run.sh makes it."""
GO_FOLDER = TARGET / "e2e-go"
GO_READER = GO_FOLDER / "uri-reader"
JAVA_FOLDER = TARGET / "e2e-java"
JAVA_CLASSES = f"{JAVA_FOLDER}/classes:{JAVA_FOLDER}/lib/*"


@dataclass(frozen=True)
class Oracle:
    """A program that reads [WORLD, URI] a line and says a line each what its readers make of it."""

    name: str
    command: list
    needs: Path
    """What tests/run.sh makes."""
    is_optional: bool = False
    """Whether its toolchain may be missing."""

    def is_here(self) -> bool:
        return self.needs.exists()


ORACLES = [
    Oracle(
        "TypeScript", node_command(NODE_FOLDER / "uri_reader.mjs"), NODE_FOLDER / "node_modules"
    ),
    Oracle("mcp 1", [MCP1_PYTHON, HERE / "python_uris.py", "mcp1"], MCP1_PYTHON),
    Oracle("mcp 2", [sys.executable, HERE / "python_uris.py", "mcp2"], Path(sys.executable)),
    Oracle("fastmcp", [sys.executable, HERE / "python_uris.py", "fastmcp"], Path(sys.executable)),
    Oracle("Go", [GO_READER], GO_READER, is_optional=True),
    Oracle(
        "Java",
        ["java", "-cp", JAVA_CLASSES, "UriReader"],
        JAVA_FOLDER / "installed.txt",
        is_optional=True,
    ),
]


def answers(oracles: list, worlds: Path, questions: list, folder: Path):
    """What each oracle says to each question: a dict of readers for each, all oracles at once."""
    asked = folder / "questions.jsonl"
    asked.write_text("".join(json.dumps(question) + "\n" for question in questions))
    running = []
    for oracle in oracles:
        told = folder / f"{oracle.name}.jsonl"
        with asked.open() as stdin, told.open("w") as stdout:
            command = [str(word) for word in [*oracle.command, worlds]]
            running.append((oracle, told, subprocess.Popen(command, stdin=stdin, stdout=stdout)))
    try:
        for oracle, _, process in running:
            assert process.wait(600) == 0, f"{oracle.name} ended with {process.returncode}"
    finally:
        for _, _, process in running:
            process.kill()
    files = [told.open() for _, told, _ in running]
    try:
        for lines in zip(*files, strict=True):
            together = {}
            for line in lines:
                together |= json.loads(line)
            yield together
    finally:
        for file in files:
            file.close()


def install_reader():
    """Puts the program in JavaScript beside the packages that it imports."""
    shutil.copy(HERE.parent / "node" / "uri_reader.mjs", NODE_FOLDER)
