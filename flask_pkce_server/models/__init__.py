"""Models: the database tables, and the statements that keep them consistent."""
