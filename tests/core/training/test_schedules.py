"""Schedules of the learning rate: by arithmetic, and as PyTorch has them."""

import pytest
from shared.numpy_trainer import fit

from d2lext.core.training.schedules import (
    CosineSchedule,
    OneCycleSchedule,
    StepSchedule,
)

pytestmark = pytest.mark.usefixtures("whole_runs")


def test_steps():
    schedule = StepSchedule(warmup=0.1)
    assert [schedule(t) for t in (0, 0.05, 0.1, 0.49)] == [0, 0.5, 1, 1]
    assert [schedule(t) for t in (0.5, 0.75)] == pytest.approx([0.1, 0.01])
    assert StepSchedule([0.2], 0.5)(0.3) == StepSchedule(0.2, 0.5)(0.3) == 0.5


def test_a_cosine():
    schedule = CosineSchedule(final=0.2, warmup=0.5)
    assert [schedule(t) for t in (0, 0.25, 0.5)] == [0, 0.5, 1]
    assert schedule(0.75) == pytest.approx(0.6)
    assert schedule(1) == pytest.approx(0.2)
    assert CosineSchedule()(1 / 3) == pytest.approx(0.75)


def test_as_pytorch_has_them():
    torch = pytest.importorskip("torch")
    schedulers = torch.optim.lr_scheduler
    number = 40

    def factors(make):
        optim = torch.optim.SGD([torch.zeros(1)], lr=1)
        scheduler = make(optim)
        for _ in range(number):
            yield optim.param_groups[0]["lr"]
            optim.step()
            scheduler.step()

    # PyTorch's cycle has its peak at pct_start * total_steps - 1, and ends one step early.
    options = {
        "max_lr": 1,
        "total_steps": number + 1,
        "pct_start": (0.3 * number + 1) / (number + 1),
    }
    for ours, theirs in (
        (StepSchedule(), lambda o: schedulers.MultiStepLR(o, [20, 30])),
        (CosineSchedule(0.1), lambda o: schedulers.CosineAnnealingLR(o, number, 0.1)),
        (OneCycleSchedule(), lambda o: schedulers.OneCycleLR(o, **options)),
    ):
        found = [ours(k / number) for k in range(number)]
        assert found == pytest.approx(list(factors(theirs)), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (
            lambda: StepSchedule((5, 8)),
            r"milestones must be shares .*got \(5, 8\): div",
        ),
        (lambda: CosineSchedule(warmup=1), "warmup must be a share .*, got 1: divide"),
        (lambda: OneCycleSchedule(final=-1), "final must be a finite .*, got -1"),
        (lambda: fit(schedule=0.1), "schedule must be a function .*got 0.1: pass, for"),
        (lambda: fit(ema=1), "ema must be the share .*, >= 0 and < 1, got 1: pass"),
        (lambda: fit(ema=True), "ema must be .*, got True"),
    ],
)
def test_what_cannot_be(make, rule):
    with pytest.raises(ValueError, match=rule):
        make()
