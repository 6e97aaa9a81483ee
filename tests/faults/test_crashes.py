"""Crashes under load: workers that are killed, and databases that are stopped or crash."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from flask_pkce_server.testing import Flow, register

from ..host import make_app, sign_in
from ..services import own_database
from .databases import own_server
from .serving import Serving, serving

pytestmark = [pytest.mark.thorough, pytest.mark.services, pytest.mark.programs]

#: Seconds for which a database is away.
AWAY = 10


def judge(serving: Serving, what: str, **counts: object) -> None:
    """Assert that nothing was lost or spent twice, and that every answer was a right one."""
    load = serving.load
    lost, twice = load.lost(), load.spent_twice() + serving.chains_with_two_ends()
    load.tally.report(
        what,
        families=len(load.families),
        codes_without_an_answer=load.codes_unknown,
        spent_twice=twice,
        lost=lost,
        **counts,
    )
    assert not load.tally.wrong, Counter(each[:60] for each in load.tally.wrong)
    assert (lost, twice) == (0, 0)
    assert len(load.families) > 5


def test_workers_that_are_killed_lose_nothing_and_spend_nothing_twice(tmp_path: Path) -> None:
    killed = 0
    with own_database("postgresql") as url, serving(tmp_path, url) as host:
        with host.load.running():
            end = time.monotonic() + 15
            while time.monotonic() < end:
                time.sleep(0.7)
                killed += host.kill_a_worker()
        host.seconds_until_served()
        judge(host, "workers killed", killed=killed)
    assert killed > 10
    assert host.load.tally.answers["broken"] > 0


@pytest.mark.parametrize("service", ["postgresql", "mariadb"])
def test_a_database_that_stops_crashes_and_hangs_is_503_until_it_is_back(
    tmp_path: Path, service: str
) -> None:
    recovered: list[float] = []
    with own_server(service) as database, serving(tmp_path, database.url) as host:
        faults: list[tuple[Callable[[], None], Callable[[], None], float]] = [
            (database.stop, database.start, AWAY),
            (database.crash, database.start, 1),
            (database.freeze, database.thaw, 4),
        ]
        with host.load.running():
            for end, begin, seconds in faults:
                time.sleep(2)
                end()
                time.sleep(seconds)
                begin()
                recovered.append(host.seconds_until_served())
            time.sleep(2)
        longest = f"{max(recovered):.1f} s"
        judge(host, service, recovered_within=longest)
    assert max(recovered) < 5
    assert host.load.tally.answers["503"] > 50


@pytest.mark.parametrize("service", ["postgresql", "mariadb"])
def test_a_database_that_has_become_a_standby_is_503_for_what_writes(service: str) -> None:
    with own_server(service) as database:
        app = make_app(SQLALCHEMY_DATABASE_URI=database.url, TESTING=False)
        flow = Flow(sign_in(app), register(app))
        tokens, code = flow.tokens(), flow.allow()["code"]

        def become(*, read_only: bool) -> None:
            database.become(read_only=read_only)
            with app.app_context():
                app.db.engine.dispose()

        become(read_only=True)
        refused = [flow.redeem(code), flow.refresh(tokens["refresh_token"]), flow.authorize()]
        for answer in refused:
            assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1")
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert app.test_client().get("/api/me", headers=bearer).status_code == 200
        become(read_only=False)
        assert flow.redeem(code).status_code == 200
        assert flow.refresh(tokens["refresh_token"]).status_code == 200
        with app.app_context():
            app.db.engine.dispose()
