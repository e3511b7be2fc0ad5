"""Phase 7, comparison: is B worse than A, by how much, on which routes, and what would decide where it cannot be told?

The chapter is “Validate” in ``docs/audit-playbook.md``; the command is ``perfaudit compare``.
"""
