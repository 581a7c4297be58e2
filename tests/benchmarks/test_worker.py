"""The process of a side: which of its steps and batches count."""

import pytest

from benchmarks import worker


class Counting:
    """A side whose steps are its batches' numbers."""

    def __init__(self, length):
        self.length, self.steps = length, []

    def batches(self):
        return iter(range(self.length))

    def step(self, batch):
        self.steps.append(batch)

    def wait(self):
        pass


@pytest.mark.parametrize(
    ("length", "batches", "lead", "steps", "counted"),
    [(9, 3, 2, 5, 3), (9, 9, 0, 9, 9), (4, 3, 2, 4, 2), (1, 1, 0, 1, 1)],
)
def test_an_epochs_batches_are_counted(length, batches, lead, steps, counted):
    side = Counting(length)
    turn = worker.Training(None, side).epoch(batches, lead)
    assert side.steps == list(range(steps))
    assert turn["batches"] == counted


@pytest.mark.parametrize(("turn_s", "steps"), [(0, 1), (0.05, 5), (0.1, 10)])
def test_a_turn_has_as_many_steps_as_fit(turn_s, steps, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(worker.time, "perf_counter", lambda: clock[0])
    side = Counting(1)
    side.step = lambda batch: clock.__setitem__(0, clock[0] + 0.01)
    training = worker.Training(type("Module", (), {"num_params": lambda side: 0}), side)
    training.prepare()
    turn = training.step(turn_s)
    assert turn == {"step_s": pytest.approx(0.01), "steps": steps}
