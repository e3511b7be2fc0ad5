"""Statistics: pure functions on arrays. No I/O, no nouns of the audit. Each names its source and is tested by simulation."""
