"""``python -m perfaudit``."""

from perfaudit.cli import main

main()
