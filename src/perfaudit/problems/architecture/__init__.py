"""Problem classes of the area architecture."""
