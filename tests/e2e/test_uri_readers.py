"""Whatever URI the gateway forwards, each SDK's own look-up serves nothing but what was granted.

20,000 URIs, always the same ones. A long run, for which a million takes some minutes, of others:

    DOORWARD_ROUNDS=1000000 DOORWARD_SEED=7 pytest -s tests/e2e/test_uri_readers.py
"""

import os

import pytest
from readers.judged import tallies
from readers.oracles import ORACLES, install_reader
from readers.worlds import WORLDS

ROUNDS = int(os.environ.get("DOORWARD_ROUNDS", "20000"))
SEED = int(os.environ.get("DOORWARD_SEED", "1"))
AGAIN = f"DOORWARD_SEED={SEED} DOORWARD_ROUNDS={ROUNDS}"
SHOWN = 25

LEAST = 0.1
"""The share of the URIs of a world that has to be forwarded; otherwise little was tried."""
SERVERS = {"typescript 1", "typescript 2", "mcp 1", "mcp 2", "fastmcp", "fastmcp, mounted"}
"""The readers that are always here."""
FOLDING = SERVERS - {"mcp 2", "fastmcp"}
"""Those that fold a URI before they look it up."""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    install_reader()
    here = [oracle for oracle in ORACLES if oracle.is_here()]
    return tallies(here, SEED, ROUNDS, tmp_path_factory.mktemp("uris"))


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda oracle: oracle.name)
def test_each_reader_is_here(oracle):
    if not oracle.is_here():
        assert oracle.is_optional, f"{oracle.needs} is missing; tests/run.sh makes it"
        pytest.skip(f"{oracle.needs} was not built: its toolchain is not here")


@pytest.mark.parametrize("key", WORLDS)
def test_no_reader_serves_what_was_not_granted(found, key):
    tally = found[key]
    assert not tally.wrong, f"{AGAIN}: {len(tally.wrong)} URIs\n{tally.shown(SHOWN)}"


@pytest.mark.parametrize("key", WORLDS)
def test_enough_is_forwarded_and_served(found, key):
    tally = found[key]
    print(f"{key}: {tally.made} URIs, {tally.forwarded} forwarded, served: {dict(tally.served)}")
    assert tally.forwarded >= tally.made * LEAST
    for reader in SERVERS | set(tally.served):
        assert tally.served[reader] >= tally.forwarded * LEAST, reader


@pytest.mark.parametrize("key", WORLDS)
def test_what_is_refused_would_lead_the_readers_elsewhere(found, key):
    """That the tests above can fail."""
    assert FOLDING <= found[key].astray
