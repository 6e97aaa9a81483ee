"""Resources: the APIs that tokens are for, identified by URIs (RFC 8707, RFC 9728)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from posixpath import normpath
from urllib.parse import unquote, urlsplit

from ..errors import ConfigurationError, InvalidTargetError
from ..wire.base_url import fault_of
from ..wire.resource_uri import canonical
from .issuer import Issuer


@dataclass(frozen=True)
class Resource:
    """An API of this app; `uri` is exactly as it was declared."""

    uri: str
    scopes: tuple[str, ...] = ()
    #: The scopes that every request to it needs.
    required: tuple[str, ...] = ()

    @property
    def asked_first(self) -> tuple[str, ...]:
        """The scopes that its clients should request first: the required ones, or else all."""
        # MCP 2026-07-28: offline_access belongs to the server, and no resource asks for it.
        return self.required or tuple(scope for scope in self.scopes if scope != "offline_access")

    @property
    def path(self) -> str:
        """The decoded path of the URI, without a trailing slash."""
        return unquote(urlsplit(self.uri).path).rstrip("/")

    @property
    def origin(self) -> str:
        """The scheme, host and port of the URI."""
        return self.uri[: len(self.uri) - len(urlsplit(self.uri).path)]

    @property
    def host(self) -> str:
        """The host in lower case, with the port if there is one."""
        return urlsplit(self.uri).netloc.lower()


@dataclass
class DeclaredResources:
    """The APIs that the host app has declared so far, at startup or later.

    Each is declared by its URI, or by a path at the origin of the issuer.
    """

    declared: list[Resource] = field(default_factory=list)
    #: Paths at which, and below which, every request needs a token.
    guarded_paths: set[str] = field(default_factory=set)
    #: The scopes of these APIs, each with the sentence that users read.
    sentences: dict[str, str] = field(default_factory=dict)
    #: Increases with each declaration.
    version: int = 0

    def declare(self, uri: str, scopes: Mapping[str, str] | Iterable[str] = ()) -> None:
        """Declare an API by its URI; repeated declarations add up their scopes.

        Raises `ConfigurationError` if `uri` cannot identify an API (RFC 9728 1.2).
        """
        problem = fault_of(uri)
        if problem:
            raise ConfigurationError(
                f"The resource {uri!r} {problem}.",
                write='pkce.resource("https://your.domain/api", scopes=["notes:read"])',
            )
        self._add(Resource(uri, _names(scopes)), scopes)

    def guard(
        self, path: str, scopes: Mapping[str, str] | Iterable[str], required: Iterable[str]
    ) -> None:
        """Declare everything at `path` of the app and below it to be one API.

        Raises `ConfigurationError` if `path` is not a normalized absolute path.
        """
        is_unfit = not path.startswith("/") or path.endswith("/") or fault_of("https://host" + path)
        if is_unfit or _straight(unquote(path)) != unquote(path):
            raise ConfigurationError(
                f"The path {path!r} of a resource starts with a slash, does not end with one, "
                "and has no empty part, . or .. in it.",
                write='pkce.mcp("/mcp", scopes={"notes:read": "Read your notes"})',
            )
        required = _names(required)
        self.guarded_paths.add(path)
        self._add(Resource(path, _joined(_names(scopes), required), required), scopes)

    def _add(self, resource: Resource, scopes: Mapping[str, str] | Iterable[str]) -> None:
        self.version += 1
        if resource not in self.declared:
            self.declared.append(resource)
        if isinstance(scopes, Mapping):
            self.sentences.update(scopes)


@dataclass(frozen=True)
class _Snapshot:
    """What `Resources` derives from one issuer and one version of the declarations."""

    issuer: str
    version: int
    own: Mapping[str, Resource]
    here: frozenset[str]
    known: Mapping[str, str]


class Resources:
    """The APIs of one app, and APIs elsewhere that its tokens can be for.

    `issuer` returns the issuer of the app; `elsewhere` has the scopes of other APIs, by their
    URIs (`PKCE_JWT_ACCESS_TOKEN_RESOURCES`).
    """

    def __init__(
        self,
        host: DeclaredResources,
        issuer: Callable[[], Issuer],
        elsewhere: Mapping[str, Iterable[str]],
    ) -> None:
        self._host, self._issuer = host, issuer
        #: The APIs outside this app by their configured URIs, each with its scopes.
        self.elsewhere = {uri: frozenset(scopes) for uri, scopes in elsewhere.items()}
        self._snapshot = _Snapshot("", -1, {}, frozenset(), {})

    @property
    def sentences(self) -> Mapping[str, str]:
        """The scopes of declared APIs, each with its sentence."""
        return self._host.sentences

    @property
    def own(self) -> Mapping[str, Resource]:
        """The declared APIs of this app, by their canonical URIs (RFC 8707 2)."""
        return self._now().own

    @property
    def here(self) -> frozenset[str]:
        """The URIs of this app: its issuer and its declared APIs."""
        return self._now().here

    @property
    def known(self) -> Mapping[str, str]:
        """The configured URI of every API that tokens can be for, by its canonical URI."""
        return self._now().known

    def are_known(self, uris: Iterable[str]) -> bool:
        """Return whether tokens can be for each of `uris`; False if one is malformed."""
        try:
            return self.known.keys() >= set(map(canonical, uris))
        except (InvalidTargetError, AttributeError, TypeError):
            return False

    def _now(self) -> _Snapshot:
        """Return the snapshot, rebuilt if the declarations or the issuer have changed."""
        issuer, version = self._issuer(), self._host.version
        if self._snapshot.issuer != issuer or self._snapshot.version != version:
            own: dict[str, Resource] = {}
            for declared in self._host.declared:
                uri = declared.uri
                uri = issuer.origin + uri if uri.startswith("/") else uri
                before = own.get(canonical(uri), Resource(uri))
                own[canonical(uri)] = replace(
                    before,
                    scopes=_joined(before.scopes, declared.scopes),
                    required=_joined(before.required, declared.required),
                )
            uris = [resource.uri for resource in own.values()]
            known = {canonical(uri): uri for uri in (*uris, *self.elsewhere, str(issuer))}
            self._snapshot = _Snapshot(issuer, version, own, frozenset({issuer, *uris}), known)
        return self._snapshot

    @property
    def has_guarded(self) -> bool:
        """Whether any path is declared as an API."""
        return bool(self._host.guarded_paths)

    @property
    def guarded(self) -> list[Resource]:
        """The APIs that are declared by path."""
        return self._of_paths(sorted(self._host.guarded_paths))

    def is_guarded(self, path: str) -> bool:
        """Return whether `path` is a declared path or lies below one."""
        paths = self._host.guarded_paths
        return bool(paths) and bool(self._above(path))

    def guarding(self, path: str) -> list[Resource]:
        """Return the resource with the longest declared path that is above `path`.

        Return two if `path` has `..` in it and its two readings lie below different resources.
        """
        return self._of_paths(self._above(path))

    def _of_paths(self, paths: Iterable[str]) -> list[Resource]:
        own, origin = self.own, self._issuer().origin
        return [own[canonical(origin + path)] for path in paths]

    def _above(self, path: str) -> list[str]:
        # Try the path as routed, and as views that serve files resolve it. Try each as the app
        # sees it, and as clients see it if a proxy strips the issuer's path.
        mount = unquote(self._issuer().path)
        nearest = (
            self._nearest(reading) or self._nearest(mount + reading)
            for reading in (path, _straight(path))
        )
        return [guarded for guarded in dict.fromkeys(nearest) if guarded is not None]

    def _nearest(self, path: str) -> str | None:
        paths = self._host.guarded_paths
        above = (guarded for guarded in paths if f"{path}/".startswith(f"{unquote(guarded)}/"))
        return max(above, key=len, default=None)


def _straight(path: str) -> str:
    """Return `path` normalized: without empty parts, `.` and `..`."""
    return "/" + normpath(path).lstrip("/")


def _names(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return scopes that are given as several strings or as one, separated by spaces."""
    return tuple(scopes.split() if isinstance(scopes, str) else scopes)


def _joined(*groups: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(scope for scopes in groups for scope in scopes))
