"""Only a good access token reaches a view."""
