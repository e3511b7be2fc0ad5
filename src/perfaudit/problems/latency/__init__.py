"""Problem classes of the area latency."""
