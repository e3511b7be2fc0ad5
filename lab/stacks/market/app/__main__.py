"""``python -m app`` serves one replica."""

from __future__ import annotations

from app.main import run

run()
