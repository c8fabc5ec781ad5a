"""The JSON Schema of the configuration: what editors say is what `doorward check` says."""

import datetime
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from gateway import BINARIES

ROOT = Path(__file__).parent.parent.parent
SCHEMA = ROOT / "deploy" / "gateway.schema.json"
COMMANDS = ROOT / "tests" / "it" / "commands"

LEAST = '[upstreams.t]\npath = "/mcp"\nurl = "http://127.0.0.1:9/mcp"\n'


def as_json(value):
    """TOML has moments, JSON has their text."""
    if isinstance(value, dict):
        return {key: as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else value


def faults(text: str) -> list:
    validator = Draft202012Validator(json.loads(SCHEMA.read_text()))
    return [fault.message for fault in validator.iter_errors(as_json(tomllib.loads(text)))]


def test_the_schema_is_one_and_is_what_the_command_prints():
    Draft202012Validator.check_schema(json.loads(SCHEMA.read_text()))
    printed = subprocess.run([BINARIES / "doorward", "schema"], capture_output=True, text=True)
    assert printed.stdout == SCHEMA.read_text()


@pytest.mark.parametrize(
    "path",
    [
        ROOT / "gateway.toml",
        ROOT / "deploy" / "gateway.compose.toml",
        *sorted(COMMANDS.glob("*.in/gateway.toml")),
    ],
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_good_files_have_no_faults(path):
    # deploy/secrets.sh puts digests in.
    assert not faults(re.sub("[A-Z]+_SHA256", "0" * 64, path.read_text()))


def test_what_the_shipped_file_shows_commented_out_has_no_faults():
    text = (ROOT / "gateway.toml").read_text()
    blocks = [block for block in text.split("\n\n") if block.startswith("# [")]
    assert len(blocks) >= 4
    shown = "\n".join(line.removeprefix("# ") for block in blocks for line in block.splitlines())
    assert not faults(LEAST + shown)


@pytest.mark.parametrize(
    "lines",
    [
        "[roles.a]\ntool = []",
        '[roles.a]\ntools = ["nothing"]',
        '[roles.a]\nmode = "shadows"',
        '[tokens.a]\nuser = "a"',
        '[tools."t/a"]\narguments.a = { max = 1 }',
        '[tools."t/a"]\narguments."/a" = { most = 1 }',
        '[log]\nlevel = "loud"',
        "[limits]\nrequest_body = 4",
        '[[expect]]\nalow = ["t/a"]',
    ],
)
def test_bad_files_have_faults_for_both(lines, tmp_path):
    assert faults(LEAST + lines)
    (tmp_path / "gateway.toml").write_text(LEAST + lines)
    checked = subprocess.run(
        [BINARIES / "doorward", "check", "--config", tmp_path / "gateway.toml"],
        capture_output=True,
    )
    assert checked.returncode == 2
