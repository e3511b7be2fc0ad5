"""A small production stack on loopback that is broken by genuine mechanisms and recorded: cases with known truth.

``python -m lab`` records, ``python -m lab.evaluate`` audits what was recorded. Nothing here imports the product, and the
product imports nothing from here: the two meet in files only. A walk through the rooms is in ``lab/README.md``.
"""
