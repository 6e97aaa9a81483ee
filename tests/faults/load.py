"""The load: clients that sign users in, call the API and refresh, whatever breaks meanwhile.

A client that gets a 503 or loses its connection tries again, as a real one does, and what it
then gets must be what the first try would have given, or a refusal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

from flask_pkce_server.testing import RegisteredClient, challenge_of, new_verifier

from .exchange import Answer, Tally, send

SCOPE = "openid profile offline_access"
THREADS = 6
#: Seconds between two tries of a client.
PAUSE = 0.1


@dataclass
class Family:
    """What a client was given for one code."""

    #: Each refresh token, with the successors that were ever given for it.
    successors: dict[str, set[str]] = field(default_factory=dict)
    access: list[str] = field(default_factory=list)
    refresh: str = ""
    #: Whether the client knows that all of it was revoked: its code was sent twice.
    is_revoked: bool = False


@dataclass
class Load:
    """Clients in several threads, and what they were given."""

    port: int
    client: RegisteredClient
    tally: Tally = field(default_factory=Tally)
    families: list[Family] = field(default_factory=list)
    codes_spent_twice: int = 0
    #: Codes of which nobody knows what became: refused after a try without an answer.
    codes_unknown: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send requests from several threads until the block ends."""
        with ThreadPoolExecutor(THREADS) as pool:
            running = [pool.submit(self._live, self.sign_in()) for _ in range(THREADS)]
            try:
                yield
            finally:
                self.is_over.set()
        for each in running:
            each.result()

    def sign_in(self) -> str:
        """Sign in as Ada at the host; return the cookies."""
        answer = send(self.port, "POST", "/login", {"username": "ada"})
        assert answer.status == 303, answer
        return "; ".join(each.partition(";")[0] for each in answer.headers.get_all("Set-Cookie"))

    def _live(self, cookies: str) -> None:
        number = 0
        while not self.is_over.is_set():
            number += 1
            self.ask("page of apps", (200,), "GET", "/oauth/apps", headers={"Cookie": cookies})
            code, verifier = self.code(cookies)
            if code is None:
                time.sleep(PAUSE)
                continue
            family = self.redeem(code, verifier, twice=number % 5 == 0)
            if family is not None:
                self.families.append(family)
                self.use(family)

    def ask(
        self,
        name: str,
        expected: tuple[int, ...],
        method: str,
        path: str,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request, and count what comes back."""
        answer = send(self.port, method, path, form, headers)
        self.tally.note(name, answer, expected)
        return answer

    def code(self, cookies: str) -> tuple[str | None, str]:
        """Ask for a code in a browser; None if it is shown an error."""
        verifier = new_verifier()
        request = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": self.client.redirect_uri,
            "scope": SCOPE,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        path = f"/oauth/authorize?{urlencode(request)}"
        answer = self.ask("page of authorize", (302, 303), "GET", path, headers={"Cookie": cookies})
        if not answer.is_final:
            return None, verifier
        sent = parse_qs(urlsplit(answer.headers.get("Location", "")).query)
        return sent.get("code", [None])[0], verifier

    def token(self, expected: tuple[int, ...], **form: str) -> Answer:
        """Ask the token endpoint."""
        form["client_id"] = self.client.client_id
        return self.ask("token " + form["grant_type"], expected, "POST", "/oauth/token", form)

    def redeem(self, code: str, verifier: str, *, twice: bool) -> Family | None:
        """Redeem a code, from two places at once if `twice`."""

        def try_all() -> list[Answer]:
            """Try until the answer is final."""
            tries: list[Answer] = []
            while not tries or not tries[-1].is_final:
                if tries:
                    time.sleep(PAUSE)
                # It may have been redeemed by a try without an answer.
                expected = (200, 400) if tries or twice else (200,)
                tries.append(
                    self.token(
                        expected,
                        grant_type="authorization_code",
                        code=code,
                        redirect_uri=self.client.redirect_uri,
                        code_verifier=verifier,
                    )
                )
            return tries

        tried = at_once(try_all, 2 if twice else 1)
        given = [tries[-1] for tries in tried if tries[-1].status == 200]
        if len(given) > 1:
            self.codes_spent_twice += 1
        if not given:
            self.codes_unknown += any(len(tries) > 1 for tries in tried)
            return None
        body = given[0].json()
        return Family(
            access=[body["access_token"]], refresh=body["refresh_token"], is_revoked=twice
        )

    def use(self, family: Family) -> None:
        """Call the API and refresh, several times."""
        alive = (401,) if family.is_revoked else (200,)
        for number in range(4):
            bearer = {"Authorization": f"Bearer {family.access[-1]}"}
            self.ask("call", alive, "GET", "/api/me", headers=bearer)
            self.ask("userinfo", alive, "GET", "/oauth/userinfo", headers=bearer)
            if not self.refresh(family, twice=number == 2) or self.is_over.is_set():
                return

    def refresh(self, family: Family, *, twice: bool = False) -> bool:
        """Refresh until it works, from two places at once if `twice`."""
        presented = family.refresh

        def try_on() -> Answer:
            while True:
                answer = self.token(
                    (400,) if family.is_revoked else (200,),
                    grant_type="refresh_token",
                    refresh_token=presented,
                )
                if answer.is_final:
                    return answer
                time.sleep(PAUSE)

        answers = at_once(try_on, 2 if twice else 1)
        bodies = [answer.json() for answer in answers if answer.status == 200]
        for body in bodies:
            family.successors.setdefault(presented, set()).add(body["refresh_token"])
            family.access.append(body["access_token"])
            family.refresh = body["refresh_token"]
        return bool(bodies)

    def lost(self) -> int:
        """Count the tokens that were given and do not work; call it when all is well again."""
        lost = 0
        for family in self.families:
            if family.is_revoked:
                continue
            for token in dict.fromkeys(family.access):
                bearer = {"Authorization": f"Bearer {token}"}
                lost += send(self.port, "GET", "/api/me", headers=bearer).status != 200
            form = {"grant_type": "refresh_token", "refresh_token": family.refresh}
            form["client_id"] = self.client.client_id
            lost += send(self.port, "POST", "/oauth/token", form).status != 200
        return lost

    def spent_twice(self) -> int:
        """Count the codes and refresh tokens for which two different answers were given."""
        chains = [each for family in self.families for each in family.successors.values()]
        return self.codes_spent_twice + sum(len(successors) > 1 for successors in chains)


def at_once(deed: Callable[[], object], times: int) -> list:
    """Do something that many times at the same moment; return what each gave."""
    if times == 1:
        return [deed()]
    with ThreadPoolExecutor(times) as pool:
        return [each.result() for each in [pool.submit(deed) for _ in range(times)]]
