"""The URLs of the Django project: a sign-in, django-oauth-toolkit, and a guarded view."""

from __future__ import annotations

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from oauth2_provider.decorators import protected_resource


@protected_resource(scopes=["profile"])
def me(request: HttpRequest) -> JsonResponse:
    """Return the profile of the token's user."""
    user = request.resource_owner
    return JsonResponse(
        {"username": user.username, "name": user.get_full_name(), "email": user.email}
    )


urlpatterns = [
    path("login", LoginView.as_view()),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("api/me", me),
]
