"""Problem classes of the area database."""
