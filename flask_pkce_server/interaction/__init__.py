"""What a person is asked, and the request that waits meanwhile."""
