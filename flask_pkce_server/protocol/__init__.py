"""Protocol: the authorization server, which calls the features and keeps checks in order."""
