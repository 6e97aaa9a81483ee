"""Wire: what is sent and received, without Flask and SQLAlchemy."""
