"""Phase 3, critical path analysis: where do request-seconds go?

Chapter "Phase 3" of ``docs/audit-playbook.md``.
"""
