"""The table of all cases: what can be recorded, what was, and the signature of each (healthy → fault → fixed)."""

from __future__ import annotations

from lab import case, plan
from lab.mechanism import Sign, discover
from lab.runner import told


def show() -> int:
    """Prints it as Markdown."""
    recorded = {(t["name"], t["set"]): (folder, t) for folder, t in case.truths()}
    print("| case | kind | problem | stacks | dev | validation |\n|---|---|---|---|---|---|")
    names = sorted({name for name, _ in discover()})
    for name in names:
        found = {stack: m for (n, stack), m in discover().items() if n == name}
        any_one = next(iter(found.values()))
        cells = [f"{recorded[name, of][0].name} ({recorded[name, of][1]['stack']})" if (name, of) in recorded else "–" for of in plan.SETS]
        print(f"| {name} | {any_one.kind} | {any_one.problem} | {', '.join(sorted(found))} | {' | '.join(cells)} |")
    print("\n| case | stack | seed | style | withheld | signature: healthy → fault → fixed |\n|---|---|---|---|---|---|")
    for folder, truth in case.truths():
        signs = "; ".join(told(Sign(**s)) for s in truth.get("signature", []))
        print(f"| {folder.name} {truth['name']} | {truth['stack']} | {truth['seed']} | {truth.get('style', '')} | {', '.join(truth.get('withheld', [])) or '–'} | {signs} |")
    total = sum(case.size(folder) for folder, _ in case.truths())
    print(f"\n{len(recorded)} recordings of {len(names)} cases, {total / 1e6:.1f} MB")
    return 0
