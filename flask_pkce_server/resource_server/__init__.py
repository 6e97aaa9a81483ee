"""Resource server: only requests with a valid access token reach a guarded view."""
