"""Races against whatever takes access away: it wins over all that is under way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .host import make_app
from .services import POOL, ROUNDS, empty_database
from .taking_away import FEATURES, WAYS, Access, Way, let_in, take_away

pytestmark = pytest.mark.thorough

SERVERS = [pytest.param(name, marks=pytest.mark.services) for name in ("postgresql", "mariadb")]


@pytest.fixture(params=["sqlite", *SERVERS])
def access(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Access]:
    """Give an app on a real database, with a user who has let one client in."""
    with ExitStack() as stack:
        uri = f"sqlite:///{tmp_path}/app.db"
        if request.param != "sqlite":
            uri = stack.enter_context(empty_database(request.param))
        app = make_app(
            SQLALCHEMY_DATABASE_URI=uri,
            SQLALCHEMY_ENGINE_OPTIONS=POOL,
            TESTING=False,
            **FEATURES,
        )
        yield let_in(app)
        with app.app_context():
            app.db.engine.dispose()


@pytest.mark.parametrize("taken", WAYS)
def test_what_is_taken_away_is_not_alive_afterwards(access: Access, taken: Way) -> None:
    for _ in range(ROUNDS):
        take_away(access, taken)
