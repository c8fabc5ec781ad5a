"""What runs is what was judged: mutated requests through the gateway to real servers.

Each request begins as one that passes and is changed in some way. Every server tells which tool,
prompt or resource ran and what it saw of the arguments; that must be granted and meant. 12,000
requests, always the same ones; a long run, of others:

    DOORWARD_ROUNDS=200000 DOORWARD_SEED=7 pytest -s tests/e2e/test_differential.py
"""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import CHILDREN
from differential.bodies import Bodies
from differential.callers import Caller, answer, ran
from differential.lists import GRANTED, Lists, names, shows_hidden
from differential.meaning import CASES, TICKETS, is_meant
from differential.servers import RMCP, SERVERS, Site
from differential.writing import LEGACY, MODERN, listing

ROUNDS = int(os.environ.get("DOORWARD_ROUNDS", "12000"))
SEED = int(os.environ.get("DOORWARD_SEED", "1"))
AGAIN = f"DOORWARD_SEED={SEED} DOORWARD_ROUNDS={ROUNDS}"
SHOWN = 20

LEAST = 0.1
"""The share of the requests of each kind that has to run; otherwise little was tried."""
PAIRS = [(server, era) for server in [*SERVERS, RMCP] for era in server.eras]


@pytest.fixture(scope="module")
def site(request, tmp_path_factory, started):
    tickets = started.upstream("processes").setting.split('"')[1]
    site = Site(tmp_path_factory.mktemp("differential"), tickets)
    request.session.stash[CHILDREN] |= {f"differential, {k}": v for k, v in site.children.items()}
    yield site
    site.end()


@pytest.fixture(scope="module")
def told(site):
    """For each server and era: how many of each kind were made and ran, and what was not meant."""

    def run(server, era):
        bodies = Bodies(f"{SEED} {server.name} {era}", server is RMCP)
        caller = Caller(site.url(server.name), era)
        made, passed, wrong = Counter(), Counter(), []
        for _ in range(ROUNDS // len(PAIRS)):
            sent = bodies.next(era)
            made[sent.kind] += 1
            if happened := ran(answer(caller.tell(sent))):
                passed[sent.kind] += 1
                if not is_meant(*happened):
                    wrong.append((happened, sent))
        return made, passed, wrong

    pairs = [(server, era) for server, era in PAIRS if server in site.servers]
    with ThreadPoolExecutor(len(pairs)) as pool:
        runs = {(s.name, era): pool.submit(run, s, era) for s, era in pairs}
        return {key: run.result() for key, run in runs.items()}


@pytest.fixture(params=PAIRS, ids=lambda pair: f"{pair[0].name}-{pair[1]}")
def counted(request, told):
    server, era = request.param
    if not server.is_here():
        assert server.is_optional, f"{server.needs} is missing; tests/run.sh makes it"
        pytest.skip(f"{server.needs} was not built: its toolchain is not here")
    return told[server.name, era]


def test_what_ran_is_what_was_judged(counted):
    wrong = counted[2]
    lines = [f"{name} saw {saw}: {sent.headers} {sent.body}" for (name, saw), sent in wrong[:SHOWN]]
    assert not wrong, f"{AGAIN}: {len(wrong)} requests\n" + "\n".join(lines)


def test_enough_requests_ran(counted):
    made, passed, _ = counted
    print(f"{sum(made.values())} requests, ran: {dict(passed)}")
    assert sum(passed.values()) >= sum(made.values()) * 2 * LEAST
    for kind, count in made.items():
        assert passed[kind] >= count * LEAST, kind


def test_a_list_shows_what_may_be_used(site):
    for server, era in PAIRS:
        if server not in site.servers:
            continue
        caller = Caller(site.url(server.name), era)
        granted = {"tools": set(TICKETS if server is RMCP else CASES)}
        granted |= {} if server is RMCP else {"prompts": {"greet"}, "resources": set()}
        for kind, expected in granted.items():
            shown = names(answer(caller.tell(listing(kind, era))), kind)
            assert set(shown) == expected and len(shown) == len(expected), (server.name, era)


@pytest.mark.parametrize("era", [LEGACY, MODERN])
def test_no_answer_to_a_list_shows_what_is_hidden(site, era):
    caller = Caller(site.url("lists"), era, has_session=False)
    lists = Lists(f"{SEED} {era}")
    whole, wrong, count = 0, [], ROUNDS // 10
    for i in range(count):
        kind = ("tools", "prompts", "resources")[i % 3]
        site.lists.answers.append(lists.next(kind))
        told = caller.tell(listing(kind, era))
        shown = names(answer(told) or {}, kind)
        allowed = GRANTED if kind != "resources" else [f"note://{name}/a" for name in GRANTED]
        whole += sorted(shown) == allowed
        if shows_hidden(told) or not set(shown) <= set(allowed):
            wrong.append(told)
    assert not wrong, f"{AGAIN}: {len(wrong)} answers\n" + "\n".join(map(repr, wrong[:SHOWN]))
    assert whole >= count * LEAST, f"only {whole} of {count} lists came with all that is granted"
