"""Problem classes of the area throughput."""
