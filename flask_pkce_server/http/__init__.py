"""How requests come in, and how answers leave."""
