"""Races: whatever happens at once, one wins, nobody gets a 500, and nothing dead lives on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flask_pkce_server.models.client_storage import remove
from flask_pkce_server.protocol.keys import KeyRing
from flask_pkce_server.testing import Clock, Flow, parameters_of, register, server_of

from .at_once import at_once, live_tokens, statuses
from .client_documents import WEB, Web, flow_of, stored
from .host import make_app, sign_in
from .races import (
    THREADS,
    redeem_one_code,
    refresh_and_revoke,
    retry_one_refresh,
    use_one_refresh_token,
)
from .services import POOL, ROUNDS, THOROUGH, empty_database

pytestmark = pytest.mark.thorough

DATABASES = {"sqlite": ROUNDS, "postgresql": ROUNDS, "mariadb": ROUNDS}
if THOROUGH:
    # The rarer set-ups get a taste.
    DATABASES |= {"sqlite-wal": 2, "postgresql-serializable": 2}


@pytest.fixture(
    params=[
        pytest.param(kind, marks=() if kind.startswith("sqlite") else pytest.mark.services)
        for kind in DATABASES
    ]
)
def database(request: pytest.FixtureRequest) -> str:
    """The kind of database that the race is run on."""
    return request.param


@pytest.fixture
def rounds(database: str) -> range:
    """The rounds of a race."""
    return range(DATABASES[database])


@pytest.fixture
def make(database: str, tmp_path: Path) -> Iterator[Callable[..., Flow]]:
    """Give a function that makes an app on a real database and a sign-in at it."""
    kind, apps = database, []
    with ExitStack() as stack:

        def build(**config: object) -> Flow:
            options: dict[str, object] = dict(POOL)
            if kind.startswith("sqlite"):
                uri = f"sqlite:///{tmp_path}/app.db"
                config["PKCE_SQLITE_PRAGMAS"] = kind == "sqlite-wal"
            else:
                uri = stack.enter_context(empty_database(kind.partition("-")[0]))
            if kind == "postgresql-serializable":
                options["isolation_level"] = "SERIALIZABLE"
            app = make_app(
                SQLALCHEMY_DATABASE_URI=uri,
                SQLALCHEMY_ENGINE_OPTIONS=options,
                TESTING=False,
                **config,
            )
            apps.append(app)
            # With ID tokens: keys, signatures and login sessions take part.
            scope = "openid profile offline_access"
            return Flow(sign_in(app), register(app), scope=scope)

        yield build
        for app in apps:
            with app.app_context():
                app.db.engine.dispose()


def test_one_code_redeemed_by_all_at_once(make: Callable[..., Flow], rounds: range) -> None:
    flow = make()
    for _ in rounds:
        redeem_one_code([flow])


def test_one_refresh_token_used_by_all_at_once(make: Callable[..., Flow], rounds: range) -> None:
    flow = make(PKCE_REFRESH_TOKEN_GRACE=0)
    for _ in rounds:
        use_one_refresh_token([flow])


def test_a_refresh_that_is_retried_by_all_at_once(make: Callable[..., Flow], rounds: range) -> None:
    flow, live = make(PKCE_REFRESH_TOKEN_GRACE=60), 0
    # Nothing can be lost here but the answer: fewer rounds than where something is spent.
    for _ in rounds[:3]:
        live = retry_one_refresh([flow], live)


def test_one_public_client_registered_by_all_at_once(
    make: Callable[..., Flow], rounds: range
) -> None:
    app = make(PKCE_FEATURES={"registration": True}).browser.application
    for done in rounds[:3]:
        said = {"client_name": f"Tool {done}", "redirect_uris": ["http://127.0.0.1:8000/cb"]}
        answers = at_once(
            *[lambda: app.test_client().post("/oauth/register", json=said)] * THREADS  # noqa: B023
        )
        assert statuses(answers) == [201] * THREADS
        assert len({answer.get_json()["client_id"] for answer in answers}) == 1


def test_a_described_client_let_in_and_renewed_by_all_at_once(
    make: Callable[..., Flow], rounds: range
) -> None:
    features = {"client_id_metadata": True}
    first = make(PKCE_FEATURES=features).browser.application
    second = make_app(init=False, **{**first.config, "TESTING": False})
    second.pkce.init_app(second)
    clock, web = Clock(), Web()
    for app in (first, second):
        server_of(app).clock, server_of(app).fetcher = clock, web
    for done in rounds[:3]:
        url = f"https://apps.example/{done}"
        web.documents[url] = {**WEB, "client_id": url}
        flows = [flow_of(app, url) for app in (first, second) for _ in range(THREADS // 8)]
        pages = [flow.authorize(scope="profile offline_access") for flow in flows]
        # No process has it stored yet: each tries.
        answers = at_once(*map(functools.partial, [Flow.decide] * len(flows), flows, pages))
        assert statuses(answers) == [303] * len(flows)
        codes = [parameters_of(answer)["code"] for answer in answers]
        tokens = [
            flow.redeem(code).get_json()["refresh_token"]
            for flow, code in zip(flows, codes, strict=True)
        ]
        web.documents[url] = {**web.documents[url], "client_name": "Another"}
        clock.advance(3600)
        answers = at_once(*map(functools.partial, [Flow.refresh] * len(flows), flows, tokens))
        assert statuses(answers) == [200] * len(flows)
        assert stored(first, url).client_name == "Another"
    with second.app_context():
        second.db.engine.dispose()


def test_refresh_against_revoke(make: Callable[..., Flow], rounds: range) -> None:
    flow = make()
    for _ in rounds:
        refresh_and_revoke([flow])


def test_a_client_is_deleted_while_it_refreshes_and_redeems(
    make: Callable[..., Flow], rounds: range
) -> None:
    flow = make()
    app = flow.browser.application
    for number in rounds:
        client_id = f"app-{number}"
        flow.client = register(app, client_id=client_id)
        spent, code = flow.tokens(), flow.allow()["code"]

        def delete() -> None:
            with app.app_context():
                server_of(app).store.write(lambda session: remove(session, client_id))  # noqa: B023

        *answers, _ = at_once(
            lambda: flow.refresh(spent["refresh_token"]),  # noqa: B023
            lambda: flow.redeem(code),  # noqa: B023
            delete,
        )
        assert {answer.status_code for answer in answers} <= {200, 400, 401}
        # Who registers the same id again starts anew.
        assert live_tokens(app) == 0


@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"], indirect=True)
def test_workers_that_make_or_rotate_keys_at_once_agree(make: Callable[..., Flow]) -> None:
    # Each with what it knows itself, as processes are.
    app = make().browser.application
    server = app.extensions["pkce"]

    def ring() -> KeyRing:
        return KeyRing(
            server.store,
            secrets=lambda: server.accepted_keys("signing keys"),
            clock=server.now,
            lead=7200,
            keep=86400,
        )

    def each(deed: Callable[[KeyRing], object]) -> list[object]:
        def run(worker: KeyRing) -> object:
            with app.app_context():
                return deed(worker)

        return at_once(*[functools.partial(run, worker) for worker in workers])

    def states() -> list[tuple[str, str]]:
        with app.app_context():
            return sorted((key.algorithm, state) for key, state in ring().listed())

    workers = [ring() for _ in range(4)]
    each(KeyRing.prepare)
    assert states() == [("ES256", "active"), ("RS256", "active")]
    told = each(KeyRing.rotate)
    assert len({tuple(kids) for kids in told}) == 1
    assert states() == [
        *[("ES256", "active"), ("ES256", "next")],
        *[("RS256", "active"), ("RS256", "next")],
    ]
    each(lambda worker: worker.rotate(compromised=True))
    # The last to rotate may have replaced the keys of the first; one of each signs.
    assert states() == [("ES256", "active"), ("RS256", "active")]
