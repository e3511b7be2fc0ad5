"""Phase 2, baseline establishment: what is normal here, and is this window fit to conclude from?

Chapter "Phase 2" of ``docs/audit-playbook.md``; command ``perfaudit baseline``.
"""
