"""Resources: the APIs that tokens are for, named by their URIs (RFC 8707, RFC 9728)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from posixpath import normpath
from urllib.parse import unquote, urlsplit

from ..errors import ConfigurationError
from ..wire.base_url import fault_of
from ..wire.resource_uri import canonical
from .issuer import Issuer


@dataclass(frozen=True)
class Resource:
    """An API of this app, by its URI byte for byte as it was declared."""

    uri: str
    scopes: tuple[str, ...] = ()
    #: The scopes without which nothing of it is reached.
    required: tuple[str, ...] = ()

    @property
    def asked_first(self) -> tuple[str, ...]:
        """The scopes that its clients ask for first: what every call needs, or else all."""
        # MCP 2026-07-28: offline_access is the server's, and no resource asks for it.
        return self.required or tuple(one for one in self.scopes if one != "offline_access")

    @property
    def path(self) -> str:
        """The path in its URI, decoded; without a slash at its end."""
        return unquote(urlsplit(self.uri).path).rstrip("/")

    @property
    def origin(self) -> str:
        """The scheme, host and port in its URI."""
        return self.uri[: len(self.uri) - len(urlsplit(self.uri).path)]

    @property
    def host(self) -> str:
        """The host, and the port where it is named."""
        return urlsplit(self.uri).netloc.lower()


@dataclass
class DeclaredResources:
    """What the host declared to be APIs of its apps, at whatever time; some are whole paths.

    Each is declared by its URI, or by a path at the origin of the issuer.
    """

    declared: list[Resource] = field(default_factory=list)
    #: Paths at which, and below which, every request needs a token.
    guarded_paths: set[str] = field(default_factory=set)
    #: Scopes that came with them, each with the sentence that the user reads.
    sentences: dict[str, str] = field(default_factory=dict)
    #: How often something was declared.
    version: int = 0

    def declare(self, uri: str, scopes: Mapping[str, str] | Iterable[str] = ()) -> None:
        """Declare an API by its URI; what is declared twice has all scopes.

        Raises `ConfigurationError` for what cannot be the URI of one (RFC 9728 1.2).
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
        """Declare all that lies at `path` of the app and below it to be one API.

        Raises `ConfigurationError` for what is no such path.
        """
        unfit = not path.startswith("/") or path.endswith("/") or fault_of("https://host" + path)
        if unfit or _straight(unquote(path)) != unquote(path):
            raise ConfigurationError(
                f"The path {path!r} of a resource starts with a slash, does not end with one, "
                "and has no empty part, . or .. in it.",
                write='pkce.mcp("/mcp", scopes={"notes:read": "Read your notes"})',
            )
        needed = _names(required)
        self.guarded_paths.add(path)
        self._add(Resource(path, _joined(_names(scopes), needed), needed), scopes)

    def _add(self, resource: Resource, scopes: Mapping[str, str] | Iterable[str]) -> None:
        self.version += 1
        if resource not in self.declared:
            self.declared.append(resource)
        if isinstance(scopes, Mapping):
            self.sentences.update(scopes)


@dataclass(frozen=True)
class _Snapshot:
    """What `Resources` has of one issuer, at one time."""

    issuer: str
    version: int
    own: Mapping[str, Resource]
    here: frozenset[str]
    known: Mapping[str, str]


class Resources:
    """The APIs of one app, and those elsewhere that its tokens may be for.

    `issuer` gives the issuer of the app, `elsewhere` has the scopes of APIs beside it by
    their URIs (`PKCE_JWT_ACCESS_TOKEN_RESOURCES`).
    """

    def __init__(
        self,
        host: DeclaredResources,
        issuer: Callable[[], Issuer],
        elsewhere: Mapping[str, Iterable[str]],
    ) -> None:
        self._host, self._issuer = host, issuer
        #: The APIs beside this app, with their scopes, as they are configured.
        self.elsewhere = {uri: frozenset(scopes) for uri, scopes in elsewhere.items()}
        self._snapshot = _Snapshot("", -1, {}, frozenset(), {})

    @property
    def sentences(self) -> Mapping[str, str]:
        """The scopes that came with declared APIs, each with its sentence."""
        return self._host.sentences

    @property
    def own(self) -> Mapping[str, Resource]:
        """The APIs of this app besides itself, by their canonical URIs (RFC 8707 2)."""
        return self._now().own

    @property
    def here(self) -> frozenset[str]:
        """The URIs of this app: its issuer, and those of its own APIs."""
        return self._now().here

    @property
    def known(self) -> Mapping[str, str]:
        """Every API that tokens may be for, as it is configured, by its canonical URI."""
        return self._now().known

    def _now(self) -> _Snapshot:
        """Return what is declared by now; made anew where that, or the issuer, has changed."""
        issuer, version = self._issuer(), self._host.version
        if self._snapshot.issuer != issuer or self._snapshot.version != version:
            own: dict[str, Resource] = {}
            for one in self._host.declared:
                uri = issuer.origin + one.uri if one.uri.startswith("/") else one.uri
                before = own.get(canonical(uri), Resource(uri))
                own[canonical(uri)] = replace(
                    before,
                    scopes=_joined(before.scopes, one.scopes),
                    required=_joined(before.required, one.required),
                )
            uris = [resource.uri for resource in own.values()]
            known = {canonical(uri): uri for uri in (*uris, *self.elsewhere, str(issuer))}
            self._snapshot = _Snapshot(issuer, version, own, frozenset({issuer, *uris}), known)
        return self._snapshot

    @property
    def has_guarded(self) -> bool:
        """Whether a whole path is declared."""
        return bool(self._host.guarded_paths)

    @property
    def guarded(self) -> list[Resource]:
        """Those whose whole paths are declared."""
        return self._of_paths(sorted(self._host.guarded_paths))

    def is_guarded(self, path: str) -> bool:
        """Say whether `path` is a declared path, or lies below one."""
        paths = self._host.guarded_paths
        return bool(paths) and bool(self._above(path))

    def guarding(self, path: str) -> list[Resource]:
        """Return the resource whose declared path `path` lies below, the nearest.

        A path with `..` in it may be read in two ways, and so lie below two.
        """
        return self._of_paths(self._above(path))

    def _of_paths(self, paths: Iterable[str]) -> list[Resource]:
        own, origin = self.own, self._issuer().origin
        return [own[canonical(origin + path)] for path in paths]

    def _above(self, path: str) -> list[str]:
        # As it is routed, and as views that serve files read it; as the app sees it, and as
        # clients do where a proxy takes the path of the issuer away.
        mount = unquote(self._issuer().path)
        found = (
            self._nearest(spelled) or self._nearest(mount + spelled)
            for spelled in (path, _straight(path))
        )
        return [one for one in dict.fromkeys(found) if one is not None]

    def _nearest(self, path: str) -> str | None:
        paths = self._host.guarded_paths
        above = (one for one in paths if f"{path}/".startswith(f"{unquote(one)}/"))
        return max(above, key=len, default=None)


def _straight(path: str) -> str:
    """Return `path` without empty parts, and without `.` and `..`."""
    return "/" + normpath(path).lstrip("/")


def _names(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return scopes that are given apart or in one text, as on the wire."""
    return tuple(scopes.split() if isinstance(scopes, str) else scopes)


def _joined(*several: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for them in several for one in them))
