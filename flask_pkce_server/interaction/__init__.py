"""Interaction: what the user is asked, and the request that waits meanwhile."""
