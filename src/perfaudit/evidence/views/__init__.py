"""Derived facts that several checks share: one view per file, SQL where SQL can say it, else Python (:mod:`perfaudit.evidence.computed`)."""
