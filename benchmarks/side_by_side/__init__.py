"""The same work on several authorization servers, and what it costs each of them."""
