"""The server: it asks the features, and keeps the order of checks."""
