"""Resource: an API that tokens are for, named by a URI (RFC 8707, RFC 9728)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from posixpath import normpath
from urllib.parse import unquote, urlsplit, urlunsplit

from ..errors import ConfigurationError
from ..wire.base_url import fault_of
from ..wire.resource_uri import canonical


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
class Resources:
    """What the host declared to be APIs of the app; whole paths of it are guarded.

    Each is declared by its URI, or by a path at the origin of the issuer.
    """

    #: Scopes that came with them, each with the sentence that the user reads.
    sentences: dict[str, str] = field(default_factory=dict)
    _declared: list[Resource] = field(default_factory=list)
    _guarded: set[str] = field(default_factory=set)

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
        self._add(Resource(path, _joined(_names(scopes), needed), needed), scopes)
        self._guarded.add(path)

    def _add(self, resource: Resource, scopes: Mapping[str, str] | Iterable[str]) -> None:
        if resource not in self._declared:
            self._declared.append(resource)
        if isinstance(scopes, Mapping):
            self.sentences.update(scopes)

    @property
    def has_guarded(self) -> bool:
        """Whether a whole path is declared."""
        return bool(self._guarded)

    def guarded(self, issuer: str) -> list[Resource]:
        """Return those whose whole paths are declared."""
        known = self.known(issuer)
        return [known[canonical(origin_of(issuer) + path)] for path in sorted(self._guarded)]

    def is_guarded(self, path: str, issuer: str) -> bool:
        """Say whether `path` is a declared path, or lies below one."""
        return bool(self._above(path, issuer))

    def guarding(self, path: str, issuer: str) -> list[Resource]:
        """Return the resource whose declared path `path` lies below, the nearest.

        A path with `..` in it may be read in two ways, and so lie below two.
        """
        known = self.known(issuer)
        return [known[canonical(origin_of(issuer) + one)] for one in self._above(path, issuer)]

    def _above(self, path: str, issuer: str) -> list[str]:
        # As it is routed, and as views that serve files read it; as the app sees it, and as
        # clients do where a proxy takes the path of the issuer away.
        mount = unquote(urlsplit(issuer).path).rstrip("/")
        found = (
            self._nearest(spelled) or self._nearest(mount + spelled)
            for spelled in (path, _straight(path))
        )
        return [one for one in dict.fromkeys(found) if one is not None]

    def _nearest(self, path: str) -> str | None:
        above = (one for one in self._guarded if f"{path}/".startswith(f"{unquote(one)}/"))
        return max(above, key=len, default=None)

    def known(self, issuer: str) -> dict[str, Resource]:
        """Return all, by their canonical URIs; paths are at the origin of `issuer`."""
        found: dict[str, Resource] = {}
        for one in self._declared:
            uri = origin_of(issuer) + one.uri if one.uri.startswith("/") else one.uri
            before = found.get(canonical(uri), Resource(uri))
            found[canonical(uri)] = replace(
                before,
                scopes=_joined(before.scopes, one.scopes),
                required=_joined(before.required, one.required),
            )
        return found


def origin_of(issuer: str) -> str:
    """Return the scheme, host and port of an issuer."""
    return urlunsplit((*urlsplit(issuer)[:2], "", "", ""))


def _straight(path: str) -> str:
    """Return `path` without empty parts, and without `.` and `..`."""
    return "/" + normpath(path).lstrip("/")


def _names(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return scopes that are given apart or in one text, as on the wire."""
    return tuple(scopes.split() if isinstance(scopes, str) else scopes)


def _joined(*several: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for them in several for one in them))
