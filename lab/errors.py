"""What can go wrong while recording, told to a person."""

from __future__ import annotations


class LabError(Exception):
    """The recording cannot go on: what happened, and what to do, a line each."""


class NotRecordable(LabError):
    """This machine or kernel lacks what the case needs. It is listed as such and never faked."""


class Refused(LabError):
    """The fault did not show in the recording, or the healthy part was not healthy: no case is written."""
