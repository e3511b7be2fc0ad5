"""Evidence: the bundle, its tables, and the readers that fill it. Nothing downstream opens a log file."""
