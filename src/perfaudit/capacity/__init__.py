"""Capacity: should we scale, or fix something first, and what does it cost? (phase 6; ``docs/audit-playbook.md``).

``points.py`` and ``table.py`` hold loads with their throughput and latency, from evidence or from a table; ``objective.py`` the largest
load that keeps an objective; ``demands.py`` and ``pools.py`` what stations and pools can carry; ``unit_cost.py`` what a request costs;
``answer.py`` the decision.
"""
