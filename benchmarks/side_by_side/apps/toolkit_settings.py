"""The Django project of django-oauth-toolkit: default settings, with OpenID Connect on."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

_DATABASE = urlsplit(os.environ["DATABASE"])

SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "benchmarks.side_by_side.apps.toolkit_urls"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": _DATABASE.hostname,
        "PORT": _DATABASE.port,
        "USER": _DATABASE.username,
        "PASSWORD": _DATABASE.password or "",
        "NAME": _DATABASE.path[1:],
        "OPTIONS": {"sslmode": "disable"},
        # Not the default, which is to connect anew for each request: that would hide the rest.
        "CONN_MAX_AGE": None,
    }
}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "oauth2_provider",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
_LOGIN_PAGE = '<form method="post">{% csrf_token %}</form>'
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.locmem.Loader",
                    {"registration/login.html": _LOGIN_PAGE},
                )
            ]
        },
    }
]
LOGIN_REDIRECT_URL = "/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
OAUTH2_PROVIDER = {
    "OIDC_ENABLED": True,
    "OIDC_RSA_PRIVATE_KEY": os.environ["SIGNING_KEY"],
    "SCOPES": {
        "openid": "Know who you are",
        "profile": "See your name",
        "offline_access": "Stay signed in",
        "introspection": "Ask about tokens",
    },
}
