"""The one way to the host's users."""
