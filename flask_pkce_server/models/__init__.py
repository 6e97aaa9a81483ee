"""The nouns: what is stored, and the statements that keep it true."""
