"""Guards: the functions that `require` makes, and the views that stand outside of theirs.

A guard is known by its identity and not by an attribute: `functools.wraps` would copy that to a
decorator around the guard, which may let requests without a token through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from flask import Flask

from ..errors import ConfigurationError
from ..protocol.declarations import Problem

View = Callable[..., Any]

_guards: WeakSet[View] = WeakSet()
#: The scopes of the guard, for every function below a guard that no app has registered so far.
_guarded: WeakKeyDictionary[View, tuple[str, ...]] = WeakKeyDictionary()
#: All apps with a server: a function may be guarded in one of them and not in another.
_apps: WeakSet[Flask] = WeakSet()


def note_app(app: Flask) -> None:
    """Remember an app whose views may be guards."""
    _apps.add(app)


def note_guard(guard: View, scopes: tuple[str, ...]) -> None:
    """Remember that `guard`, which has `__wrapped__`, requires a token with `scopes`."""
    _guards.add(guard)
    for layer in _layers(guard)[1:]:
        # A callable without weak references or a hash is not looked for.
        with suppress(TypeError):
            _guarded[layer] = scopes


def is_guard(view: View | None) -> bool:
    """Return whether `view` is itself a guard, and not a decorator around one."""
    try:
        return view in _guards
    except TypeError:
        return False  # a callable without a hash


def refuse_open_views(app: Flask) -> None:
    """Refuse an app in which a view is registered without its guard.

    Raises `ConfigurationError`. Call it once all views are registered.
    """
    problem = next(_open_views(app), None)
    if problem is not None:
        raise ConfigurationError(problem.about, write=problem.fix)


def covered_guards(app: Flask) -> list[str]:
    """Return the endpoints at which another decorator stands above the guard."""
    return [
        endpoint
        for endpoint, view in app.view_functions.items()
        if not is_guard(view) and any(map(is_guard, _layers(view)))
    ]


def problems_of_guards(app: Flask) -> Iterator[Problem]:
    """Yield the findings about the guards of the views of `app`."""
    yield from _open_views(app)
    for endpoint in covered_guards(app):
        yield Problem(
            "WARN",
            f'pkce.require stands below another decorator in the view "{endpoint}": what is above '
            "it runs without a token, CSRFProtect checks the view, and CORS does not open it.",
            "@pkce.require(...) directly below the route decorator",
        )


def quoted(scopes: tuple[str, ...]) -> str:
    """Return `scopes` as the arguments of `require` are written."""
    return ", ".join(f'"{scope}"' for scope in scopes)


def _open_views(app: Flask) -> Iterator[Problem]:
    """Yield the views that are registered without their guard.

    A guard above the route decorator does that: the function that it was given is registered.
    If the guard is a view too, the function is meant to be open at one path and guarded at
    another.
    """
    _forget_guarded_views([app])
    if any(_scopes_above(view) is not None for view in app.view_functions.values()):
        _forget_guarded_views(_apps)
    for rule in app.url_map.iter_rules():
        scopes = _scopes_above(app.view_functions.get(rule.endpoint))
        if scopes is not None:
            yield Problem(
                "FAIL",
                f'The view "{rule.endpoint}" needs no token: pkce.require stands above its route '
                "decorator.",
                f"@pkce.require({quoted(scopes)})  # below the route decorator of {rule.rule}",
            )


def _forget_guarded_views(apps: Iterable[Flask]) -> None:
    """Forget the functions whose guard is registered as a view in one of `apps`."""
    for app in apps:
        for view in app.view_functions.values():
            layers = _layers(view)
            while layers and not is_guard(layers[0]):
                del layers[0]
            for layer in layers[1:]:
                with suppress(TypeError):
                    _guarded.pop(layer, None)


def _scopes_above(view: View | None) -> tuple[str, ...] | None:
    try:
        return None if view is None else _guarded.get(view)
    except TypeError:
        return None


def _layers(view: View) -> list[View]:
    """Return `view` and the functions that it wraps, the outermost first."""
    layers = [view]
    while (inner := getattr(layers[-1], "__wrapped__", None)) is not None and inner not in layers:
        layers.append(inner)
    return layers
