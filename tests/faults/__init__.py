"""Faults: what is answered, kept and spent when something else breaks."""
