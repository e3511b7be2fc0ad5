"""``perfaudit baseline``: what is normal here, is this window fit to conclude from, and what can it prove?"""

from __future__ import annotations

import click

from perfaudit.cli import _folder, _options
from perfaudit.cli._options import ASKING, SHOWING, Settings
from perfaudit.errors import InsufficientEvidence


@click.command("baseline", short_help="Phase 2: core metrics with intervals, a verdict on the window, what it can prove.")
@_folder.option
@_options.with_options(ASKING, SHOWING)
def command(settings: Settings, folder: str | None) -> int:
    """Percentiles per route with intervals; whether this recording is fit to conclude from (length against the slowest cycle, independent
    requests, steadiness, load and mix against the reference, outliers, arrivals that wait, sampling, agreement with other measurements);
    and per route the smallest rise that it can tell from noise.

    \b
    perfaudit baseline                          of the audit folder that you are in
    perfaudit baseline --json | jq .baseline.limits
    perfaudit baseline --baseline ../last-week -o baseline.html
    """
    from perfaudit.cli.diagnose import audit_of

    _options.check_targets(settings)
    with audit_of(settings, str(_folder.find(folder))) as audit:
        ready = audit.prepare()
        part = audit.baseline(ready, proves=True)
        if not part:
            raise InsufficientEvidence("no requests were read, so there is no baseline", todo="perfaudit add ACCESS.LOG")
        result = audit.opening(ready) | {"baseline": part}
    _options.show(result, settings)
    return 0
