"""Creates the tables of the Django project, the user, the clients and a token to introspect with.

It takes one argument: JSON of the user, the redirect URI and the secret.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import django


def main() -> None:
    """Fill the database."""
    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.utils import timezone
    from oauth2_provider.models import AccessToken, Application

    user, redirect_uri, secret = json.loads(sys.argv[1])
    call_command("migrate", verbosity=0)
    User.objects.create_user(**user)
    for name in ("public", "confidential"):
        Application.objects.create(
            client_id=name,
            client_type=name,
            client_secret=secret,
            authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
            redirect_uris=redirect_uri,
            algorithm=Application.RS256_ALGORITHM,
            skip_authorization=True,
        )
    AccessToken.objects.create(
        token=secret, scope="introspection", expires=timezone.now() + timedelta(days=1)
    )


if __name__ == "__main__":
    main()
