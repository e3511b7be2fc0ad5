"""Phase 4, the verdict: one account of time, look-alikes ruled out, one constraint, and how sure.

Chapter "Phase 4" of ``docs/audit-playbook.md``; command ``perfaudit diagnose``.
"""
