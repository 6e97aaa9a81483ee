"""Users: access to the host app's users."""
