"""Remembered: documents of other hosts are fetched rarely, once for all, and nobody waits long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from flask_pkce_server.errors import TemporarilyUnavailable, TooManyRequests
from flask_pkce_server.wire import remembered
from flask_pkce_server.wire.fetch_limit import FetchLimit
from flask_pkce_server.wire.remembered import Fetched, Remembered

URL = "https://host.example/document"
FRESH, STALE, PAUSE = 1000, 5000, 60
#: Seconds after which a test fails rather than hang.
DEADLINE = 20


class Host:
    """A host whose documents are fresh for a while; it counts how often it is asked."""

    def __init__(self) -> None:
        self.document: str | None = "first"
        self.asked: list[str] = []
        self.is_open = threading.Event()
        self.is_open.set()

    def fetch(self, url: str, now: float) -> Fetched[str] | None:
        self.asked.append(url)
        assert self.is_open.wait(DEADLINE)
        return None if self.document is None else Fetched(self.document, now + FRESH)


class Cache:
    """What is remembered of the documents of a host, and a time that the test chooses."""

    def __init__(
        self, host: Host, fetches: int = 8, waiting: int = 5, seconds: float = DEADLINE
    ) -> None:
        limit = FetchLimit(fetches, waiting, seconds)
        self.documents: Remembered[str] = Remembered(stale=STALE, pause=PAUSE, limit=limit)
        self.host, self.now = host, 1_000_000.0

    def find(self, url: str = URL, **more: object) -> str | None:
        now = self.now
        return self.documents.find(url, now, lambda: self.host.fetch(url, now), **more)


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    # Whatever failed, no thread is left behind.
    host.is_open.set()


@pytest.fixture
def cache(host: Host) -> Cache:
    return Cache(host)


@pytest.fixture
def pool(host: Host) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as pool:
        yield pool
        host.is_open.set()


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def hanging(cache: Cache, pool: ThreadPoolExecutor, url: str = URL) -> Future[str | None]:
    """Begin a fetch that ends when the host is open again."""
    cache.host.is_open.clear()
    asked = len(cache.host.asked)
    found = pool.submit(cache.find, url)
    until(lambda: len(cache.host.asked) > asked)
    return found


# How long a document is good.


def test_a_fresh_document_is_not_fetched_again(cache: Cache, host: Host) -> None:
    assert cache.find() == "first"
    host.document = "second"
    cache.now += FRESH - 1
    assert cache.find() == "first"
    assert host.asked == [URL]
    cache.now += 1
    assert cache.find() == "second"
    assert host.asked == [URL] * 2


def test_a_stale_document_is_used_while_it_cannot_be_had(cache: Cache, host: Host) -> None:
    assert cache.find() == "first"
    host.document = None
    cache.now += FRESH + STALE - 1
    assert cache.find() == "first"
    assert host.asked == [URL] * 2
    cache.now += 1
    assert cache.find() is None
    cache.now += PAUSE
    host.document = "second"
    assert cache.find() == "second"


def test_a_host_is_left_in_peace_between_two_fetches(cache: Cache, host: Host) -> None:
    host.document = None
    for _ in range(3):
        assert cache.find() is None
    cache.now += PAUSE - 1
    assert cache.find() is None
    assert host.asked == [URL]
    cache.now += 1
    host.document = "second"
    assert cache.find() == "second"


def test_a_document_that_is_no_use_is_fetched_again_after_the_pause(
    cache: Cache, host: Host
) -> None:
    assert cache.find() == "first"
    host.document = "second"
    assert cache.find(again=True) == "first"
    cache.now += PAUSE
    assert cache.find() == "first"
    assert cache.find(again=True) == "second"
    assert host.asked == [URL] * 2
    # A failure takes nothing away.
    host.document = None
    cache.now += PAUSE
    assert cache.find(again=True) == "second"
    assert host.asked == [URL] * 3


def test_a_fetch_that_raises_is_not_repeated_at_once(cache: Cache, host: Host) -> None:
    def fetch() -> Fetched[str] | None:
        host.asked.append(URL)
        raise ValueError("no document")

    with pytest.raises(ValueError, match="no document"):
        cache.documents.find(URL, cache.now, fetch)
    # Neither its lock nor its turn is held any more.
    assert cache.find() is None
    assert host.asked == [URL]
    cache.now += PAUSE
    assert cache.find() == "first"


def test_a_host_that_was_not_asked_after_all_need_not_rest(cache: Cache, host: Host) -> None:
    def fetch() -> Fetched[str] | None:
        raise TemporarilyUnavailable

    with pytest.raises(TemporarilyUnavailable):
        cache.documents.find(URL, cache.now, fetch)
    assert cache.find() == "first"


def test_a_slow_host_rests_longer_each_time_and_for_an_hour_at_most(
    cache: Cache, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "_SLOW_SECONDS", 0)
    host.document = None
    rests = [120, 240, 480, 960, 1920, 3600, 3600]
    for number, rest in enumerate(rests, 1):
        assert cache.find() is None
        cache.now += rest - 1
        assert cache.find() is None
        assert len(host.asked) == number
        cache.now += 1
    # Once it answers, all is as before.
    host.document = "first"
    assert cache.find() == "first"
    host.document = None
    cache.now += FRESH
    assert cache.find() == "first"
    cache.now += 2 * PAUSE
    assert cache.find() == "first"
    assert len(host.asked) == len(rests) + 3


def test_a_host_that_fails_at_once_rests_as_long_as_ever(cache: Cache, host: Host) -> None:
    host.document = None
    for number in range(1, 9):
        assert cache.find() is None
        assert len(host.asked) == number
        cache.now += PAUSE


def test_a_slow_document_holds_up_no_other_one_of_its_host(
    cache: Cache, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "_SLOW_SECONDS", 0)
    host.document = None
    assert cache.find(f"{URL}/slow") is None
    host.document = "first"
    assert cache.find() == "first"


def test_a_clock_that_is_set_back_ends_freshness_and_pause(cache: Cache, host: Host) -> None:
    assert cache.find() == "first"
    host.document = "second"
    # A caller that waited for another comes with an earlier time.
    cache.now -= PAUSE - 1
    assert cache.find() == cache.find(again=True) == "first"
    cache.now -= 1
    assert cache.find() == "second"


def test_what_is_fresh_can_be_had_without_a_fetch(cache: Cache, host: Host) -> None:
    assert cache.documents.find_fresh(URL, cache.now) is None
    assert len(cache.documents) == 0
    assert cache.find() == cache.documents.find_fresh(URL, cache.now) == "first"
    assert cache.documents.find_fresh(URL, cache.now + FRESH) is None
    assert host.asked == [URL]


# Callers with a copy of their own, and those with nothing.


def test_a_fresh_copy_is_as_good_as_the_document(cache: Cache, host: Host) -> None:
    assert cache.find(copy_fresh_until=cache.now + 1) is None
    assert host.asked == []
    assert cache.find(copy_fresh_until=cache.now) == "first"


def test_whoever_causes_a_fetch_has_to_be_admitted(cache: Cache, host: Host) -> None:
    def refuse() -> None:
        raise TooManyRequests(5)

    for _ in range(2):
        with pytest.raises(TooManyRequests):
            cache.find(admit=refuse)
    assert host.asked == []
    # It was not asked, so there is no pause.
    assert cache.find(admit=lambda: None) == "first"
    assert cache.find(admit=refuse) == "first"
    # Who has something goes on with it.
    cache.now += FRESH
    assert cache.find(admit=refuse) == "first"
    assert cache.find(copy_fresh_until=cache.now - 1, admit=refuse) == "first"
    with pytest.raises(TooManyRequests):
        cache.find(again=True, admit=refuse)
    cache.now += STALE
    with pytest.raises(TooManyRequests):
        cache.find(admit=refuse)
    assert host.asked == [URL]


# How much is remembered.


def test_few_documents_are_remembered(
    cache: Cache, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "MAX_DOCUMENTS", 2)
    for url in ("a", "b", "a", "c"):
        assert cache.find(url) == "first"
    assert len(cache.documents) == 2
    # What was not used for longest went first.
    assert cache.find("a") == "first"
    assert host.asked == ["a", "b", "c"]
    assert cache.find("b") == "first"
    assert host.asked == ["a", "b", "c", "b"]


def test_urls_without_a_document_push_out_none(
    cache: Cache, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "MAX_DOCUMENTS", 2)
    assert cache.find() == "first"
    host.document = None
    for number in range(9):
        assert cache.find(str(number)) is None
    assert len(cache.documents) == 2
    assert cache.find() == "first"
    assert host.asked.count(URL) == 1


def test_a_url_that_is_being_fetched_is_not_pushed_out(
    cache: Cache, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "MAX_DOCUMENTS", 2)
    found = hanging(cache, pool)
    for number in range(9):
        assert cache.documents.find(str(number), cache.now, lambda: None) is None
    cache.host.is_open.set()
    assert found.result(DEADLINE) == cache.find() == "first"
    assert cache.host.asked == [URL]


# Many callers at once.


def test_of_many_callers_one_fetches(cache: Cache, pool: ThreadPoolExecutor) -> None:
    first = hanging(cache, pool)
    others = [pool.submit(cache.find) for _ in range(5)]
    assert not any(other.done() for other in others)
    cache.host.is_open.set()
    assert [found.result(DEADLINE) for found in (first, *others)] == ["first"] * 6
    assert cache.host.asked == [URL]


def test_of_many_who_miss_something_one_fetches(cache: Cache, pool: ThreadPoolExecutor) -> None:
    assert cache.find() == "first"
    cache.now += PAUSE
    cache.host.document = "second"
    cache.host.is_open.clear()
    found = [pool.submit(cache.find, again=True) for _ in range(6)]
    until(lambda: len(cache.host.asked) == 2)
    # Whoever is content with what there is does not wait.
    assert cache.find() == "first"
    cache.host.is_open.set()
    assert [one.result(DEADLINE) for one in found] == ["second"] * 6
    assert cache.host.asked == [URL] * 2


def test_a_caller_with_something_waits_for_nobody(cache: Cache, pool: ThreadPoolExecutor) -> None:
    assert cache.find() == "first"
    cache.now += FRESH
    cache.host.document = "second"
    found = hanging(cache, pool), hanging(cache, pool, f"{URL}/new")
    assert cache.find() == "first"
    # A stale copy of its own will do too.
    assert cache.find(f"{URL}/new", copy_fresh_until=cache.now - STALE + 1) is None
    assert not any(one.done() for one in found)
    cache.host.is_open.set()
    assert [one.result(DEADLINE) for one in found] == ["second"] * 2


def test_a_caller_with_nothing_waits_for_a_while(host: Host, pool: ThreadPoolExecutor) -> None:
    cache = Cache(host, seconds=0.05)
    found = hanging(cache, pool)
    with pytest.raises(TemporarilyUnavailable):
        cache.find()
    cache.host.is_open.set()
    assert found.result(DEADLINE) == cache.find() == "first"
    # Nor does one wait for longer that found nothing in a fresh document.
    cache.now += PAUSE
    cache.host.is_open.clear()
    found = pool.submit(cache.find, again=True)
    until(lambda: len(cache.host.asked) == 2)
    with pytest.raises(TemporarilyUnavailable):
        cache.find(again=True)


def test_few_callers_wait(host: Host, pool: ThreadPoolExecutor) -> None:
    cache = Cache(host, waiting=2)
    found = hanging(cache, pool)
    others = [pool.submit(cache.find) for _ in range(5)]
    until(lambda: sum(other.done() for other in others) == 3)
    refused = [other for other in others if other.done()]
    assert all(isinstance(other.exception(), TemporarilyUnavailable) for other in refused)
    host.is_open.set()
    waited = [other.result(DEADLINE) for other in others if other not in refused]
    assert [found.result(DEADLINE), *waited] == ["first"] * 3
    assert host.asked == [URL]


def test_few_fetches_run_at_once(host: Host, pool: ThreadPoolExecutor) -> None:
    cache = Cache(host, fetches=2)
    found = [hanging(cache, pool, url) for url in ("a", "b")]
    third = pool.submit(cache.find, "c")
    time.sleep(0.02)
    assert not third.done()
    assert host.asked == ["a", "b"]
    host.is_open.set()
    assert [one.result(DEADLINE) for one in (*found, third)] == ["first"] * 3
    assert host.asked == ["a", "b", "c"]


def test_a_caller_without_a_turn_has_not_asked(host: Host, pool: ThreadPoolExecutor) -> None:
    cache = Cache(host, fetches=1, seconds=0.05)
    assert cache.find("stale") == "first"
    cache.now += FRESH
    found = hanging(cache, pool)
    with pytest.raises(TemporarilyUnavailable):
        cache.find("new")
    assert cache.find("stale") == "first"
    assert host.asked == ["stale", URL]
    host.is_open.set()
    assert found.result(DEADLINE) == "first"
    # So there is no pause.
    host.document = "second"
    assert cache.find("new") == cache.find("stale") == "second"


def test_a_caller_waits_once_for_the_url_and_its_turn(host: Host, pool: ThreadPoolExecutor) -> None:
    cache = Cache(host, fetches=1, seconds=0.4)
    assert cache.find("other") == "first"
    cache.now += PAUSE
    host.is_open.clear()
    # This one holds the only turn; the next one waits for that, and holds its URL meanwhile.
    slow = pool.submit(cache.find, "other", again=True)
    until(lambda: len(host.asked) == 2)
    second = pool.submit(cache.find)
    time.sleep(0.2)
    began = time.monotonic()
    with pytest.raises(TemporarilyUnavailable):
        cache.find()
    assert time.monotonic() - began < 0.6
    assert isinstance(second.exception(DEADLINE), TemporarilyUnavailable)
    host.is_open.set()
    assert slow.result(DEADLINE) == "first"


def test_a_thread_with_a_turn_needs_no_second_one() -> None:
    limit = FetchLimit(1, 0)
    for _ in range(2):
        with limit.turn(0), limit.turn(0):
            pass


def test_caches_share_a_limit(host: Host, pool: ThreadPoolExecutor) -> None:
    cache, limit = Cache(host), FetchLimit(1, 0)
    documents, keys = (Remembered[str](stale=STALE, pause=PAUSE, limit=limit) for _ in range(2))
    cache.documents = documents
    found = hanging(cache, pool)
    with pytest.raises(TemporarilyUnavailable):
        keys.find(URL, cache.now, lambda: None)
    host.is_open.set()
    assert found.result(DEADLINE) == "first"
    assert keys.find(URL, cache.now, lambda: Fetched("keys", cache.now + 1)) == "keys"
