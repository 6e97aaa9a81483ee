"""HTTP: how requests come in and how responses leave."""
