"""Objectives: what users were promised, and whether it was kept."""
