"""Three nodes of Galera: the races of one database, with the threads spread over the nodes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from flask_pkce_server.models.exchanged_token import revoke_exchanged
from flask_pkce_server.testing import Flow, register, server_of

from ..at_once import live_tokens
from ..host import fill, make_app, sign_in
from ..races import (
    redeem_one_code,
    refresh_and_revoke,
    retry_one_refresh,
    use_one_refresh_token,
)
from ..services import POOL, ROUNDS
from ..taking_away import FEATURES, WAYS, Way, let_in, take_away
from .galera import Node, cluster, connected, held_up
from .page import config_of
from .programs import await_that, tell

pytestmark = [pytest.mark.thorough, pytest.mark.services]

SCOPE = "openid profile offline_access"
SHOWN = {**config_of("Galera")["SQLALCHEMY_ENGINE_OPTIONS"], **POOL}
#: With fewer locks within a node. Between nodes there are none: what both have changed decides.
LOOSE = {**SHOWN, "isolation_level": "READ COMMITTED"}


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Node]]:
    with cluster() as nodes:
        yield nodes


@pytest.fixture
def make(nodes: list[Node]) -> Iterator[Callable[..., list[Flask]]]:
    """Give a function that makes an app at each node."""
    apps: list[Flask] = []

    def build(options: Mapping[str, Any] = SHOWN, **config: Any) -> list[Flask]:
        tell(nodes[0].url(), "DROP DATABASE IF EXISTS pkce", "CREATE DATABASE pkce")
        for node in nodes:
            app = make_app(
                init=False,
                SQLALCHEMY_DATABASE_URI=node.url("pkce"),
                SQLALCHEMY_ENGINE_OPTIONS=options,
                TESTING=False,
                **config,
            )
            app.pkce.init_app(app)
            apps.append(app)
        with apps[-len(nodes)].app_context():
            fill()
        return apps[-len(nodes) :]

    yield build
    for app in apps:
        with app.app_context():
            app.db.engine.dispose()


def flows_at(apps: list[Flask]) -> list[Flow]:
    """Register a client; return its flows, one at each app."""
    flow = Flow(sign_in(apps[0]), register(apps[0]), scope=SCOPE)
    return [flow, *[replace(flow, browser=sign_in(app)) for app in apps[1:]]]


class Patient(Flow):
    """A flow that tries again where the answer says so (RFC 9110 10.2.3)."""

    def authorize(self, **changes: str | None) -> TestResponse:
        return patiently(lambda: super(Patient, self).authorize(**changes))

    def post(self, name: str, form: dict[str, str | None]) -> TestResponse:
        return patiently(lambda: super(Patient, self).post(name, form))


def patiently(send: Callable[[], TestResponse]) -> TestResponse:
    for _ in range(20):
        answer = send()
        if answer.status_code != 503:
            break
        time.sleep(int(answer.headers["Retry-After"]))
    return answer


def call(app: Flask, token: str) -> TestResponse:
    """Call the guarded view of `app`."""
    headers = {"Authorization": f"Bearer {token}"}
    return app.test_client().get("/api/me", headers=headers)


def test_one_code_redeemed_at_all_nodes_at_once(make: Callable[..., list[Flask]]) -> None:
    flows = flows_at(make())
    for _ in range(ROUNDS):
        redeem_one_code(flows)


def test_one_refresh_token_used_at_all_nodes_at_once(make: Callable[..., list[Flask]]) -> None:
    flows = flows_at(make(PKCE_REFRESH_TOKEN_GRACE=0))
    for _ in range(ROUNDS):
        use_one_refresh_token(flows)


def test_a_refresh_that_is_retried_at_all_nodes_at_once(make: Callable[..., list[Flask]]) -> None:
    flows, live = flows_at(make(PKCE_REFRESH_TOKEN_GRACE=60)), 0
    for _ in range(min(ROUNDS, 3)):
        live = retry_one_refresh(flows, live)


def test_refresh_at_some_nodes_against_revoke_at_others(make: Callable[..., list[Flask]]) -> None:
    flows = flows_at(make())
    for _ in range(ROUNDS):
        refresh_and_revoke(flows)


@pytest.mark.parametrize("taken", WAYS)
def test_what_is_taken_away_at_one_node_is_alive_at_none(
    make: Callable[..., list[Flask]], taken: Way
) -> None:
    first, *others = make(**FEATURES)
    access = let_in(first)
    for _ in range(ROUNDS):
        take_away(access, taken, others)


def test_a_token_revoked_at_one_node_takes_those_made_from_it_at_another(
    make: Callable[..., list[Flask]],
) -> None:
    here, there, _ = make(LOOSE, **FEATURES)
    access = let_in(here)
    shown = access.exchange(access.user.tokens()["access_token"]).get_json()["access_token"]
    with here.app_context():
        token = server_of(here).find_token(shown)
    made = []

    def take(session: Session) -> None:
        revoke_exchanged(session, token, server_of(there).now())
        if not made:
            made.append(access.exchange(shown))

    with there.app_context():
        server_of(there).store.write(take)
    assert made[0].status_code == 200
    # The tokens of the user live on.
    assert live_tokens(here) == live_tokens(there) == 2


def test_a_token_revoked_at_one_node_opens_nothing_at_one_that_is_behind(
    nodes: list[Node], make: Callable[..., list[Flask]]
) -> None:
    # Whatever the app itself does: this server waits.
    here, there, _ = make(POOL)
    flow = Flow(sign_in(here), register(here), scope=SCOPE)
    token = flow.tokens()["access_token"]
    assert call(there, token).status_code == 200
    with held_up(nodes[1]) as go_on:
        assert flow.revoke(token).status_code == 200
        answers: list[TestResponse] = []
        calling = threading.Thread(target=lambda: answers.append(call(there, token)))
        calling.start()
        # It waits for what was committed elsewhere before it.
        calling.join(0.5)
        assert not answers
        go_on()
        calling.join()
    assert answers[0].status_code == 401


def test_the_doctor_knows_a_node_and_what_the_host_reads_there(
    make: Callable[..., list[Flask]],
) -> None:
    app, *_ = make(POOL)
    assert "WARN  Your app reads from a node of a Galera cluster" in doctor(app)
    app, *_ = make()
    assert "OK    Each node of the Galera cluster" in doctor(app)


def doctor(app: Flask) -> str:
    return app.test_cli_runner().invoke(args=["pkce", "doctor"]).output


def test_a_node_is_killed_and_comes_back_in_the_middle(
    nodes: list[Node], make: Callable[..., list[Flask]]
) -> None:
    first, *others = flows_at(make(PKCE_REFRESH_TOKEN_GRACE=0))
    # While the others find out that a node is gone, they may be busy.
    flows = [Patient(**vars(first)), *others]
    done = threading.Event()

    def interrupt() -> None:
        try:
            time.sleep(1)
            nodes[2].kill()
            time.sleep(2)
            nodes[2].start()
        finally:
            done.set()

    operator = threading.Thread(target=interrupt)
    operator.start()
    try:
        while not done.is_set():
            redeem_one_code(flows, losing=True)
            use_one_refresh_token(flows, losing=True)
            refresh_and_revoke(flows, losing=True)
    finally:
        operator.join()
    # No app was restarted, and all of them serve.
    flows = [Patient(**vars(flow)) for flow in flows]
    redeem_one_code(flows)
    use_one_refresh_token(flows)


def test_a_node_that_has_lost_most_others_is_503_until_it_has_them_back(
    nodes: list[Node], make: Callable[..., list[Flask]]
) -> None:
    here, *_ = make()
    flow = Flow(sign_in(here), register(here), scope=SCOPE)
    token = flow.tokens()["access_token"]
    with connected(nodes[0]) as operator:
        nodes[1].kill()
        nodes[2].kill()
        is_alone = text("SHOW STATUS WHERE Variable_name = 'wsrep_ready' AND Value = 'OFF'")
        await_that(lambda: operator.execute(is_alone).first() is not None, nodes[0].log)
        assert call(here, token).status_code == 503
        assert flow.revoke(token).status_code == 503
        # An operator decides that this node has the newest state, and starts the others.
        operator.execute(text("SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'"))
        await_that(nodes[0].is_synced, nodes[0].log)
    nodes[1].start()
    nodes[2].start()
    assert call(here, token).status_code == 200
