"""Objectives: what users were promised, whether it was kept, and who is told when it is not. Chapter: docs/objectives-and-alerts.md."""
