"""Problem classes of the area caching."""
