"""The default subject is a primary key, and is refused where it could name two people."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from flask import Flask, request
from flask_login import AnonymousUserMixin, LoginManager, UserMixin, current_user, login_user
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from werkzeug.local import LocalProxy

from flask_pkce_server import ConfigurationError, PKCEServer
from flask_pkce_server.testing import Flow, parameters_of, register, server_of
from flask_pkce_server.users import user_model

from ..host import SECRET_KEY, sign_in

#: Declares models of a database, and returns them by name.
Declare = Callable[[Any], dict[str, type]]


class Host:
    """An app with user models of its own."""

    def __init__(self, declare: Declare) -> None:
        self.app, self.db = Flask("models"), SQLAlchemy()
        self.app.config.update(
            TESTING=True,
            SECRET_KEY=SECRET_KEY,
            SQLALCHEMY_DATABASE_URI="sqlite://",
            PKCE_ISSUER="https://auth.example",
            PKCE_SCOPES={"profile": "See your profile"},
        )
        self.db.init_app(self.app)
        self.models = declare(self.db)
        self.pkce = PKCEServer(self.db)
        self.pkce.init_app(self.app)
        login = LoginManager(self.app)
        login.login_view = "login"
        login.user_loader(self.load)

        @self.app.route("/login", methods=["GET", "POST"])
        def login() -> str:
            login_user(self.load(request.form["who"]))
            return ""

    def load(self, user_id: str) -> Any:
        """Return a user by the name of the model and the key, as in `Staff-1`."""
        name, _, key = user_id.partition("-")
        return self.db.session.get(self.models[name], tuple(map(int, key.split("."))))

    def add(self, *users: Any) -> None:
        with self.app.app_context():
            self.db.create_all()
            self.db.session.add_all(users)
            self.db.session.commit()

    def sign_in(self, who: str) -> Flow:
        browser = self.app.test_client()
        browser.post("/login", data={"who": who})
        return Flow(browser, register(self.app), scope="profile")

    def user_of(self, token: str) -> Any:
        """Return the user of an access token, as a guarded view gets them."""
        with self.app.app_context():
            server = server_of(self.app)
            return server.users.load(server.find_token(token).subject)

    def refused(self, words: str) -> str:
        """See that sign-ins and `doctor` refuse the models; return what the host is to write."""
        visitor = Flow(self.app.test_client(), register(self.app))
        with pytest.raises(ConfigurationError, match=words) as raised:
            visitor.authorize()
        doctor = self.app.test_cli_runner().invoke(args=["pkce", "doctor"])
        assert doctor.exit_code == 1
        assert f"FAIL  {raised.value.problem}" in doctor.output
        return raised.value.write


class Named:
    """What the users of all models here have."""

    def get_id(self) -> str:
        return f"{type(self).__name__}-{self.id}"


def two_models(db: Any) -> dict[str, type]:
    class Customer(Named, UserMixin, db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class Staff(Named, UserMixin, db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    return {"Customer": Customer, "Staff": Staff}


def several_columns(db: Any) -> dict[str, type]:
    class Member(UserMixin, db.Model):
        tenant: Mapped[int] = mapped_column(primary_key=True)
        number: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

        def get_id(self) -> str:
            return f"Member-{self.tenant}.{self.number}"

    return {"Member": Member}


def concrete(db: Any) -> dict[str, type]:
    """Declare two classes that have tables of their own, with keys of their own."""

    class Person(Named, UserMixin, db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class Robot(Person):
        __mapper_args__: ClassVar = {"concrete": True}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    return {"Person": Person, "Robot": Robot}


def follow(host: Host, lines: str) -> None:
    """Run the lines that an error says to write."""
    names = {"pkce": host.pkce, "db": host.db, **host.models}
    # They are not a stranger's: this package has made them.
    exec(  # noqa: S102
        lines.replace("\n    @", "\n@").replace("\n    def", "\ndef"), names
    )


@pytest.mark.parametrize(
    ("declare", "words", "ada", "bob"),
    [
        (two_models, r"kinds \(Customer, Staff\)", ("Customer", {"id": 1}), ("Staff", {"id": 1})),
        (concrete, r"kinds \(Person, Robot\)", ("Person", {"id": 1}), ("Robot", {"id": 1})),
        (
            several_columns,
            r"several columns \(tenant, number\)",
            ("Member", {"tenant": 1, "number": 1}),
            ("Member", {"tenant": 1, "number": 2}),
        ),
    ],
)
def test_keys_that_could_name_two_people_are_refused_until_both_functions_are_there(
    declare: Declare, words: str, ada: tuple[str, dict], bob: tuple[str, dict]
) -> None:
    host = Host(declare)
    users = [host.models[model](**key, name=model) for model, key in (ada, bob)]
    host.add(*users)
    lines = host.refused(words)
    # The loader alone would not tell them apart.
    host.pkce.user_loader(lambda subject: None)
    assert host.refused(words) == lines
    follow(host, lines)
    for model, key in (ada, bob):
        flow = host.sign_in(f"{model}-{'.'.join(map(str, key.values()))}")
        page = flow.authorize()
        assert page.status_code == 200, "no consent of the other counts"
        token = flow.redeem(parameters_of(flow.decide(page))["code"]).get_json()["access_token"]
        user = host.user_of(token)
        assert (type(user).__name__, {name: getattr(user, name) for name in key}) == (model, key)


def single_table(db: Any) -> dict[str, type]:
    class Person(Named, UserMixin, db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        __mapper_args__: ClassVar = {"polymorphic_on": "kind", "polymorphic_identity": "person"}

    class Admin(Person):
        __mapper_args__: ClassVar = {"polymorphic_identity": "admin"}

    return {"Person": Person, "Admin": Admin}


def joined_tables(db: Any) -> dict[str, type]:
    class Person(Named, UserMixin, db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        __mapper_args__: ClassVar = {"polymorphic_on": "kind", "polymorphic_identity": "person"}

    class Admin(Person):
        __mapper_args__: ClassVar = {"polymorphic_identity": "admin"}
        id: Mapped[int] = mapped_column(ForeignKey(Person.id), primary_key=True)

    return {"Person": Person, "Admin": Admin}


@pytest.mark.parametrize("declare", [single_table, joined_tables])
def test_a_model_and_those_that_inherit_from_it_are_one(declare: Declare) -> None:
    host = Host(declare)
    host.add(host.models["Person"](), host.models["Admin"]())
    for who in ("Person-1", "Admin-2"):
        token = host.sign_in(who).tokens()["access_token"]
        assert host.user_of(token).get_id() == who


def test_what_is_no_user_is_not_loaded_by_the_key_that_it_shares_with_users() -> None:
    def declare(db: Any) -> dict[str, type]:
        class Party(db.Model):
            id: Mapped[int] = mapped_column(primary_key=True)

        class Account(Named, UserMixin, Party):
            id: Mapped[int] = mapped_column(ForeignKey(Party.id), primary_key=True)

        return {"Party": Party, "Account": Account}

    host = Host(declare)
    host.add(host.models["Account"](), host.models["Party"]())
    assert host.user_of(host.sign_in("Account-1").tokens()["access_token"]) is not None
    with host.app.app_context():
        assert server_of(host.app).users.load("2") is None


def test_a_user_of_no_model_beside_a_user_model_is_refused() -> None:
    host = Host(single_table)
    host.add()

    class Root(UserMixin):
        id = 1

    with (
        host.app.test_request_context(),
        pytest.raises(ConfigurationError, match=r"several kinds \(Person, Root\)"),
    ):
        server_of(host.app).users.subject_of(Root())


def test_users_mapped_elsewhere_have_their_primary_key_and_are_checked_too() -> None:
    host = Host(lambda db: {})

    class Base(DeclarativeBase):
        pass

    class Person(UserMixin, Base):
        __tablename__ = "person"
        id: Mapped[int] = mapped_column(primary_key=True)

    with host.app.test_request_context():
        users = server_of(host.app).users
        Base.metadata.create_all(host.db.engine)
        with Session(host.db.engine) as session:
            session.add(Person())
            with pytest.raises(ConfigurationError, match="no primary key yet"):
                users.subject_of(*session.new)
            session.flush()
            with pytest.raises(ConfigurationError, match="of a deleted one"):
                users.subject_of(session.get(Person, 1))
        Base.metadata.drop_all(host.db.engine)
        Person.__table__.dialect_kwargs["sqlite_autoincrement"] = True
        Base.metadata.create_all(host.db.engine)
        with Session(host.db.engine) as session:
            session.add(Person())
            session.flush()
            assert users.subject_of(session.get(Person, 1)) == "1"


def test_a_key_that_cannot_be_read_from_its_text_is_refused() -> None:
    def declare(db: Any) -> dict[str, type]:
        class Person(UserMixin, db.Model):
            id: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)

        return {"Person": Person}

    host = Host(declare)
    host.add(host.models["Person"](id=b"0" * 16))
    with host.app.test_request_context():
        person = host.db.session.get(host.models["Person"], b"0" * 16)
        with pytest.raises(ConfigurationError, match="read from its text"):
            server_of(host.app).users.subject_of(person)


@pytest.mark.parametrize("subject", ["01", " 1", "1_0", "\uff11", "+1", str(2**64), "9" * 5000])
def test_a_text_that_is_that_of_no_key_finds_nobody(app: Flask, subject: str) -> None:
    with app.test_request_context():
        assert server_of(app).users.load(subject) is None


def test_a_database_that_ignores_case_finds_nobody_by_another_spelling() -> None:
    def declare(db: Any) -> dict[str, type]:
        class Person(UserMixin, db.Model):
            id: Mapped[str] = mapped_column(String(80, collation="NOCASE"), primary_key=True)

        return {"Person": Person}

    host = Host(declare)
    host.add(host.models["Person"](id="ada"))
    with host.app.test_request_context():
        users = server_of(host.app).users
        assert users.load("ada").id == "ada"
        assert users.load("Ada") is None


def test_nobody_is_signed_in_behind_the_proxy_of_flask_login(app: Flask) -> None:
    app.pkce.current_user(lambda: current_user)
    visitor, ada = Flow(app.test_client(), register(app)), Flow(sign_in(app), register(app))
    assert "/oauth/authorize?r=" in visitor.authorize().headers["Location"]
    token = ada.tokens()["access_token"]
    with app.app_context():
        assert server_of(app).find_token(token).subject == "1"


@pytest.mark.parametrize(
    "nobody",
    [
        None,
        False,
        AnonymousUserMixin(),
        LocalProxy(lambda: None),
        SimpleNamespace(is_authenticated=False),
    ],
)
def test_who_is_anonymous_is_nobody(app: Flask, nobody: object) -> None:
    app.pkce.current_user(lambda: nobody)
    with app.test_request_context():
        assert server_of(app).users.current() is None


@pytest.mark.parametrize("what", [True, "ada", 1, {"id": 1}, AnonymousUserMixin()])
def test_what_has_no_subject_is_refused_with_the_line_to_write(app: Flask, what: object) -> None:
    with (
        app.test_request_context(),
        pytest.raises(ConfigurationError, match=r"@pkce\.user_subject"),
    ):
        server_of(app).users.subject_of(what)


def test_a_subject_of_the_hosts_own_needs_a_loader_that_finds_it(app: Flask) -> None:
    # The default would find another user by it, or nobody.
    app.pkce.user_subject(lambda user: str(3 - user.id))
    with app.test_request_context():
        users, ada = server_of(app).users, app.db.session.get(app.User, 1)
        with pytest.raises(ConfigurationError, match=r"@pkce\.user_loader"):
            users.subject_of(ada)
        app.pkce.user_loader(lambda subject: app.db.session.get(app.User, 3 - int(subject)))
        assert users.subject_of(ada) == "2"
        assert users.load("2") is ada
        app.pkce.user_loader(user_model.load)
        app.pkce.user_subject(lambda user: str(user.id))
        assert users.subject_of(ada) == "1"
