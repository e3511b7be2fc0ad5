"""perfaudit."""
