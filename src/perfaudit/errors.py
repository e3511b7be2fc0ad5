"""Every error that a person can meet, in one tree.

::

    AuditError                 exit code
    ├── UsageError             2   the command line or a parameter cannot be understood
    ├── ConfigError            2   a configuration file is wrong; names file and key
    ├── EvidenceError          2   evidence cannot be read
    │   ├── NothingReadable    2   no source gave a single row
    │   └── BundleError        2   a bundle is missing, damaged, or locked
    ├── QueryError             2   SQL that does not run
    ├── ContractError          2   a reader, check or renderer broke its contract (a defect of ours)
    ├── InsufficientEvidence   3   readable, but too little for what was asked
    ├── GateFailed             1   a gate (``--fail-on``, ``--objective``) did not hold
    └── Stopped              130   a person stopped it; says how far it came

An error says *what* happened, *where*, and *what to do*: one line each. The command line prints those three lines and
nothing else, unless ``PERFAUDIT_DEBUG=1`` asks for the traceback.
"""

from __future__ import annotations


class AuditError(Exception):
    """Base of all errors. ``what``, ``where`` and ``todo`` are single lines for people; ``exit_code`` is the contract."""

    exit_code = 2

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.todo = todo

    def __str__(self) -> str:
        return "\n".join(line for line in (self.what, self.where and f"  at: {self.where}", self.todo and f"  do: {self.todo}") if line)


class UsageError(AuditError):
    """The command line or an argument of the API cannot be understood."""


class ConfigError(AuditError):
    """``audit.toml``, ``perfaudit.toml`` or a ``PERFAUDIT_*`` variable holds something that cannot be used."""


class EvidenceError(AuditError):
    """Evidence cannot be read."""


class NothingReadable(EvidenceError):
    """None of the given sources gave a single row."""


class BundleError(EvidenceError):
    """A bundle is missing, damaged, or held by another writer."""


class QueryError(AuditError):
    """SQL over the evidence does not run."""


class ContractError(AuditError):
    """A reader, check or renderer did something that its contract forbids: a defect of the program, not of the evidence."""


class InsufficientEvidence(AuditError):
    """What was read is sound but too little for what was asked."""

    exit_code = 3


class GateFailed(AuditError):
    """A gate that the caller asked for (``--fail-on``, ``--objective``) did not hold."""

    exit_code = 1


class Stopped(AuditError):
    """A person stopped the program (Ctrl-C, 128 + SIGINT by the shells' convention)."""

    exit_code = 130
