"""The jobs: what a client, a resource server or a browser asks for, the same at each target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

from .browser import Browser
from .load import Answer, basic, drive, get, post
from .targets.target import REDIRECT_URI, VERIFIER, Client, Target

#: How many access tokens the jobs that present one use in turn.
ACCESS_TOKENS = 20


@dataclass
class Work:
    """A target that runs on a port, with what the jobs have obtained from it."""

    target: Target
    port: int
    browser: Browser
    refresh_tokens: list[str] = field(default_factory=list)
    issued: dict[str, list[str]] = field(default_factory=dict)

    def authorizations(self, client: Client, scope: str, n: int) -> list[bytes]:
        """Return authorization requests of the browser."""
        headers = self.browser.headers
        return [get(self.target.authorization_path(client, scope), **headers) for _ in range(n)]

    def codes(self, client: Client, scope: str, n: int) -> list[str]:
        """Obtain codes."""
        answers = drive(self.port, self.authorizations(client, scope, n))
        return [checked_code(answer)["code"] for answer in answers]

    def redemption(self, client: Client, code: str, verifier: str = VERIFIER) -> bytes:
        """Return a token request with a code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": verifier,
        }
        return self.token_request(client, form)

    def token_request(self, client: Client, form: dict[str, str]) -> bytes:
        """Return a request to the token endpoint."""
        path = self.target.paths.token
        if client.secret:
            return post(path, form, Authorization=basic(client.client_id, client.secret))
        return post(path, {**form, "client_id": client.client_id})

    def tokens(self, client: Client, scope: str, n: int) -> list[Any]:
        """Obtain answers of the token endpoint."""
        codes = self.codes(client, scope, n)
        answers = drive(self.port, [self.redemption(client, code) for code in codes])
        return [checked(answer, 200).json() for answer in answers]

    def with_access_token(self, path: str, client: Client, scope: str, n: int) -> list[bytes]:
        """Return requests with access tokens."""
        return [
            get(path, Authorization=f"Bearer {token}")
            for token in self.access_tokens_for(client, scope, n)
        ]

    def access_tokens_for(self, client: Client, scope: str, n: int) -> list[str]:
        """Return `n` access tokens, of which several are the same."""
        key = f"{client.client_id} {scope}"
        if key not in self.issued:
            answers = self.tokens(client, scope, ACCESS_TOKENS)
            self.issued[key] = [answer["access_token"] for answer in answers]
        return list(islice(cycle(self.issued[key]), n))


def checked(answer: Answer, status: int) -> Answer:
    """Return the answer if it has that status."""
    assert answer.status == status, f"{status} expected:\n{answer.head}\n\n{answer.body[:500]!r}"
    return answer


def checked_code(answer: Answer) -> dict[str, str]:
    """Return the parameters of an answer that redirects to the client with a code."""
    parameters = answer.sent_back()
    assert answer.status in (302, 303), f"{answer.head}\n\n{answer.body[:500]!r}"
    assert "code" in parameters, answer.head
    return parameters


Requests = Callable[[Work, int], Sequence[bytes]]


@dataclass(frozen=True)
class Job:
    """A kind of request."""

    name: str
    title: str
    #: Makes the requests; what they need is obtained from the target first.
    requests: Requests
    #: Takes an answer; raises AssertionError if it is not the expected one.
    take: Callable[[Work, Answer], object] = lambda work, answer: checked(answer, 200)
    #: Which of the target's servers is asked.
    server: str = "main"
    #: The job of the floor that it is compared with; empty for the same one.
    floor: str = ""
    #: What a target has to have besides that server: an attribute that is not empty.
    needs: str = "paths"

    def possible(self, target: Target) -> bool:
        """Say whether the target does this job."""
        return self.server in target.servers and bool(getattr(target, self.needs))


def _refresh(work: Work, n: int) -> list[bytes]:
    target, waiting = work.target, work.refresh_tokens
    if len(waiting) < n:
        answers = work.tokens(target.public, target.scope, n - len(waiting))
        waiting += [answer["refresh_token"] for answer in answers]
    used = [waiting.pop() for _ in range(n)]
    return [
        work.token_request(target.public, {"grant_type": "refresh_token", "refresh_token": token})
        for token in used
    ]


def _keep_refresh_token(work: Work, answer: Answer) -> None:
    work.refresh_tokens.append(checked(answer, 200).json()["refresh_token"])


def _introspection(work: Work, n: int) -> list[bytes]:
    target = work.target
    tokens = work.access_tokens_for(target.public, target.scope, n)
    headers = target.introspection_headers()
    return [post(target.paths.introspection, {"token": token}, **headers) for token in tokens]


def _active(work: Work, answer: Answer) -> None:
    assert checked(answer, 200).json()["active"] is True, answer.body


def _code(client: str, scope: str) -> Requests:
    def requests(work: Work, n: int) -> list[bytes]:
        by = getattr(work.target, client)
        codes = work.codes(by, getattr(work.target, scope), n)
        return [work.redemption(by, code) for code in codes]

    return requests


def _signed(work: Work, answer: Answer) -> None:
    assert checked(answer, 200).json()["id_token"], answer.body


def _guarded(client: str) -> Requests:
    return lambda work, n: work.with_access_token(
        work.target.paths.guarded, getattr(work.target, client), work.target.scope, n
    )


JOBS = (
    Job(
        "authorize",
        "authorize, answered without asking",
        lambda work, n: work.authorizations(work.target.public, work.target.scope, n),
        lambda work, answer: checked_code(answer),
    ),
    Job("code", "token: code", _code("public", "scope")),
    Job(
        "code-id-token", "token: code with RS256 ID token", _code("public", "openid_scope"), _signed
    ),
    Job("code-confidential", "token: code, confidential client", _code("confidential", "scope")),
    Job("refresh", "token: refresh with rotation", _refresh, _keep_refresh_token),
    Job("introspection", "introspection", _introspection, _active),
    Job("guarded", "guarded call, opaque token", _guarded("public")),
    Job(
        "guarded-jwt",
        "guarded call, JWT checked against the grant",
        _guarded("jwt_client"),
        floor="guarded",
        needs="jwt_client",
    ),
    Job(
        "guarded-signature",
        "guarded call, JWT by signature alone",
        _guarded("jwt_client"),
        server="signature",
        floor="guarded",
        needs="jwt_client",
    ),
    Job(
        "userinfo",
        "userinfo",
        lambda work, n: work.with_access_token(
            work.target.paths.userinfo, work.target.public, work.target.openid_scope, n
        ),
    ),
    Job("discovery", "discovery", lambda work, n: [get(work.target.paths.discovery)] * n),
    Job("jwks", "JWKS", lambda work, n: [get(work.target.paths.jwks)] * n),
    Job(
        "host-view",
        "a view of the host without a guard",
        lambda work, n: [get(work.target.paths.open_view)] * n,
        server="host",
    ),
)
