"""The set is complete, balanced, and the same on every machine."""

from collections import Counter

import pytest

from lab import plan
from lab.mechanism import discover

#: Every class of the catalogue (docs/problems and those still to come): each must be recorded on both stacks.
CLASSES = """
tail-under-concurrency cascading-delay app-lock-contention pool-exhaustion retry-storm connection-churn
cpu-saturation cpu-throttling noisy-neighbour runtime-pause disk-saturation network-saturation worker-exhaustion connection-limit single-threaded-section
missing-index bad-plan row-lock-contention table-lock deadlock server-connection-saturation connection-leak n-plus-one write-pressure bloat
low-hit-ratio cache-stampede cache-serialization cache-incoherence cache-penetration
synchronous-dependency memory-leak unbounded-growth superlinear-algorithm wrong-data-model deploy-regression traffic-surge
""".split()  # noqa: SIM905


def test_every_class_can_be_recorded_on_both_stacks() -> None:
    kinds = {(name, stack): m for (name, stack), m in discover().items()}
    assert [(c, s) for c in CLASSES for s in ("market", "shop") if (c, s) not in kinds] == []
    assert [c for c in CLASSES if kinds[c, "shop"].problem != c or kinds[c, "shop"].kind != "class"] == []


def test_health_traps_and_pairs_are_there() -> None:
    kinds = Counter(m.kind for (_, stack), m in discover().items() if stack == "shop")
    assert kinds["healthy"] >= 3
    assert kinds["trap"] >= 5
    assert kinds["pair"] >= 4
    assert all(m.problem == "healthy" for m in discover().values() if m.kind in ("healthy", "trap"))
    assert all(m.problem in CLASSES for m in discover().values() if m.kind in ("class", "pair"))


@pytest.mark.parametrize("name", sorted({name for name, _ in discover()}))
def test_development_and_validation_differ_in_stack_and_seed(name: str) -> None:
    both = [plan.one(name, plan.stack_of(name, of), plan.SEEDS[of], of) for of in plan.SETS]
    assert len({p.stack for p in both}) == 2
    assert len({p.seed for p in both}) == 2
    chosen = []
    for p in (*both, both[0]):
        mechanism = p.mechanism()
        mechanism.choose(p.rng())
        chosen.append(repr(sorted(vars(mechanism).items(), key=lambda pair: pair[0])))
    assert chosen[0] == chosen[2], "the same seed chooses the same constants"


def test_the_set_is_spread() -> None:
    planned = list(plan.everything())
    assert len(planned) == 2 * len({name for name, _ in discover()})
    styles = Counter(p.style for p in planned)
    assert min(styles.values()) >= len(planned) / 5, "about a third each: onset inside, separate baseline, both"
    stacks = Counter((p.set, p.stack) for p in planned)
    assert min(stacks.values()) >= len(planned) / 8, "neither set is of one stack"
    assert 3 <= sum(bool(p.withheld) for p in planned) <= len(planned) / 3
    assert sum(bool(p.distraction) for p in planned) >= len(planned) / 6
    assert planned == list(plan.everything())


def test_a_case_that_is_not_known() -> None:
    with pytest.raises(KeyError):
        plan.stack_of("no-such-case", "dev")
