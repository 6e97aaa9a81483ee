"""django-oauth-toolkit: its latest release in a plain Django project."""

from __future__ import annotations

from ..database import Database
from ..server import gunicorn
from .target import PASSWORD, REDIRECT_URI, SECRET, SECRET_KEY, USERNAME, Paths, Target, signing_key


class Toolkit(Target):
    """django-oauth-toolkit, whose default is to require PKCE."""

    name = "django-oauth-toolkit"
    distributions = ("django-oauth-toolkit", "Django")
    paths = Paths(
        authorize="/o/authorize/",
        token="/o/token/",
        introspection="/o/introspect/",
        userinfo="/o/userinfo/",
        discovery="/o/.well-known/openid-configuration",
        jwks="/o/.well-known/jwks.json",
        guarded="/api/me",
    )

    def prepare(self, database: Database) -> None:
        user = {
            "username": USERNAME,
            "password": PASSWORD,
            "first_name": "Ada",
            "email": "ada@example.com",
        }
        self.fill(database, "toolkit_fill", [user, REDIRECT_URI, SECRET])

    def command(self, server: str, port: int) -> list[str]:
        return gunicorn("django.core.wsgi:get_wsgi_application()", port)

    def variables(self, database: Database, server: str) -> dict[str, str]:
        return {
            "DATABASE": database.url(),
            "SECRET_KEY": SECRET_KEY,
            "SIGNING_KEY": signing_key(),
            "DJANGO_SETTINGS_MODULE": "benchmarks.side_by_side.apps.toolkit_settings",
        }

    def introspection_headers(self) -> dict[str, str]:
        # The other way is the client's secret, whose hash by PBKDF2 would hide everything else.
        return {"Authorization": f"Bearer {SECRET}"}
