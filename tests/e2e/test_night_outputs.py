"""A night watch over what the gateway writes: records and log, with nobody who takes them."""

import http.client
import json
import os
import re
import resource
import signal
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from gateway import BUILTIN, Gateway, shipped
from night.taps import Tap
from processes import poll
from test_night import CALL, HEADERS, ask

SHOWN = {}
"""Headers of a question to the admin listener."""

LIST = CALL | {"params": CALL["params"] | {"name": "list_tickets"}}
LIST_HEADERS = HEADERS | {"Mcp-Name": "list_tickets"}


class Watched:
    """The shipped gateway with a tap on an output, and what an operator sees of it."""

    def __init__(self, folder: Path, stream: str, *changes: tuple[str, str], **options):
        self.tap = Tap(folder / f"gateway.{stream}")
        text = shipped(BUILTIN)
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        self.gateway = Gateway(folder, text, **({stream: self.tap.writer} | options))
        os.close(self.tap.writer)

    def call(self) -> int:
        """The status of a call that is permitted."""
        return ask(self.gateway.url, LIST, LIST_HEADERS)[0]

    def calls(self, count: int) -> set[int]:
        """The statuses of many calls over one connection, up to the first that is refused."""
        connection = http.client.HTTPConnection(urlsplit(self.gateway.url).netloc, timeout=20)
        statuses = set()
        while count and 503 not in statuses:
            connection.request("POST", "/mcp", json.dumps(LIST), LIST_HEADERS)
            answer = connection.getresponse()
            answer.read()
            statuses.add(answer.status)
            count -= 1
        connection.close()
        return statuses

    def shown(self, path: str) -> tuple[int, str]:
        """Status and text of a page of the admin listener."""
        status, _, text = ask(f"http://{self.gateway.admin}{path}", None, SHOWN)
        return status, text

    def says(self, *words: str) -> bool:
        """Whether a line of the log has all of these words."""
        lines = self.gateway.child.stderr.lower().splitlines()
        return any(all(word in line for word in words) for line in lines)

    def trouble(self) -> dict | None:
        """What /status says about records that cannot be written."""
        return json.loads(self.shown("/status")[1])["audit"]["trouble"]

    def is_refused_for(self, cause: str, *words: str):
        """Calls are refused, and every place says why."""
        poll("a call is refused", lambda: self.call() == 503)
        poll("the log says why", lambda: self.says(cause, *words))
        status, text = self.shown("/readyz")
        assert status == 503 and all(word in text.lower() for word in words), text
        assert self.trouble()["cause"] == cause, self.trouble()
        assert self.shown("/livez")[0] == 200

    def is_well_again(self):
        """Calls are served, and every place says so."""
        poll("calls are served", lambda: self.call() == 200)
        poll("it is ready", lambda: self.shown("/readyz")[0] == 200)
        poll("/status says that it is over", lambda: not self.trouble())


@pytest.fixture
def watched(request, tmp_path):
    """Makes one; ends it."""
    made = []

    def make(*arguments, **options):
        made.append(Watched(tmp_path, *arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.tap.let_go()
        one.gateway.child.end()


def small_disk():
    """No file of this process can be longer than 128 KiB, until somebody allows it."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (128 << 10, resource.RLIM_INFINITY))


def test_a_full_disk_is_told_and_a_freed_one_noticed(watched, tmp_path):
    to_file = ('to              = "stdout"', 'to              = "file"')
    named = ('# file          = "audit.jsonl"', 'file            = "audit.jsonl"')
    # Python ignores SIGXFSZ, and so does its child unless signals are restored.
    watch = watched("stderr", to_file, named, preexec_fn=small_disk, restore_signals=False)
    watch.is_refused_for("disk_full", "audit.jsonl")
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(watch.gateway.child.pid, resource.RLIMIT_FSIZE, unlimited)
    watch.is_well_again()
    (tmp_path / "audit.jsonl").unlink()
    poll("the file is made anew", lambda: watch.call() and (tmp_path / "audit.jsonl").exists())


def test_records_that_nobody_reads_are_told(watched):
    watch = watched("stdout")
    watch.tap.hold()
    # As many as may wait, and those that the pipe holds.
    assert 503 in watch.calls(20_000)
    watch.is_refused_for("stalled", "standard output")
    watch.tap.let_go()
    watch.is_well_again()


def test_records_into_a_closed_output_are_told(watched):
    watch = watched("stdout")
    watch.tap.close()
    watch.is_refused_for("closed", "standard output")


def test_a_closed_log_stops_nothing_and_is_counted(watched):
    watch = watched("stderr", ('level           = "info"', 'level           = "debug"'))
    watch.tap.close()

    def lost():
        text = watch.shown("/metrics")[1]
        [count] = re.findall(r"^doorward_log_lines_dropped_total (\d+)$", text, re.M)
        return watch.call() == 200 and int(count) > 0

    poll("lines are counted that nobody takes", lost)
    assert watch.shown("/livez")[0] == 200


def test_a_log_that_nobody_reads_stops_nothing_and_is_told_afterwards(watched):
    watch = watched("stderr", ('level           = "info"', 'level           = "debug"'))
    watch.tap.hold()
    assert watch.calls(3000) == {200}
    assert watch.shown("/livez")[0] == 200
    watch.tap.let_go()
    poll("the log says how much is missing", lambda: watch.says("dropped"))


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_gateway_whose_output_nobody_reads_can_be_ended(stream, watched):
    changes = (
        ('level           = "info"', 'level           = "debug"'),
        ('on_failure      = "deny"', 'on_failure      = "count"'),
    )
    watch = watched(stream, *changes)
    watch.tap.hold()
    watch.calls(2000)
    os.kill(watch.gateway.child.pid, signal.SIGTERM)
    assert watch.gateway.child.wait() == 0
