"""What is sent and received: no Flask and no SQLAlchemy."""
