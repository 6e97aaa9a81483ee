"""Decorators: how the host app hands over the functions that provide its users."""

from __future__ import annotations

from .host import (
    AccessTokenClaims,
    ConsentPage,
    CurrentUser,
    LoginRequiredResponse,
    LogoutDelivery,
    MayRegisterApp,
    MayRegisterClient,
    SignOut,
    UserClaims,
    UserLoader,
    UserName,
    UserSubject,
)
from .users import Users


class HostDecorators:
    """The decorators of `PKCEServer`; each replaces one of the `HostFunctions`."""

    _users: Users

    def current_user(self, function: CurrentUser) -> CurrentUser:
        """Decorate the function that returns the signed-in user, or None."""
        self._users.host.current_user = function
        return function

    def user_loader(self, function: UserLoader) -> UserLoader:
        """Decorate the function that returns the user with a given subject, or None."""
        self._users.host.user_loader = function
        return function

    def user_subject(self, function: UserSubject) -> UserSubject:
        """Decorate the function that returns a user's subject, a text that never changes."""
        self._users.host.user_subject = function
        return function

    def user_name(self, function: UserName) -> UserName:
        """Decorate the function that returns the name that the pages show for a user."""
        self._users.host.user_name = function
        return function

    def user_claims(self, function: UserClaims) -> UserClaims:
        """Decorate the function that returns all claims about a user, by name.

        It only reads them: the server then selects those that a client may see.
        """
        self._users.host.user_claims = function
        return function

    def access_token_claims(self, function: AccessTokenClaims) -> AccessTokenClaims:
        """Decorate the function that returns more claims of an access token, by name.

        It gets the user, None for a machine, and a `DescribedToken`, and only reads them. The
        claims are in JWT access tokens and in introspection (RFC 9068 2.2.3).
        """
        self._users.host.access_token_claims = function
        return function

    def login_required_response(self, function: LoginRequiredResponse) -> LoginRequiredResponse:
        """Decorate the function that sends a visitor to sign in, and then to `next_url`."""
        self._users.host.login_required_response = function
        return function

    def sign_out(self, function: SignOut) -> SignOut:
        """Decorate the function that signs the current user out of the host app.

        It ends by calling `pkce.signed_out()`.
        """
        self._users.host.sign_out = function
        return function

    def consent_view(self, function: ConsentPage) -> ConsentPage:
        """Decorate the function that returns the host's own consent page.

        It gets a `ConsentView` and returns what a Flask view returns: a page with the form,
        `consent.allow(...)` or `consent.deny()`. If it returns None, our page is shown.
        """
        self._users.host.consent_view = function
        return function

    def may_register_app(self, function: MayRegisterApp) -> MayRegisterApp:
        """Decorate the function that decides whether a user may register apps in the portal."""
        self._users.host.may_register_app = function
        return function

    def may_register_client(self, function: MayRegisterClient) -> MayRegisterClient:
        """Decorate the function that decides whether a client may register itself.

        It gets the metadata to be registered, under the names of RFC 7591 2.
        """
        self._users.host.may_register_client = function
        return function

    def logout_delivery(self, function: LogoutDelivery) -> LogoutDelivery:
        """Decorate the function that POSTs form fields to a URI, for example in a task queue.

        `function(uri, fields)` is called for each client to be notified of a logout, instead
        of using the threads of this package.
        """
        self._users.host.logout_delivery = function
        return function
