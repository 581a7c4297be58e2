"""Training that is interrupted, killed and resumed in each framework."""

import functools
import signal

import numpy as np
import pytest
from shared.checkpoints import (
    CrashError,
    assert_same_training,
    at,
    crash,
    ctrl_c,
    fitted,
    same_state,
)
from shared.processes import python
from shared.selected import in_backends

from d2lext.core.machine import processor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("whole_runs", "interruptible"),
]


@pytest.fixture(scope="module")
def whole(backend, whole_runs):
    """Trainers that ran without an interruption, by precision: one run each."""
    return functools.cache(lambda precision: fitted(backend, precision=precision))


def test_ctrl_c(backend, whole, tmp_path):
    path = tmp_path / "one.npz"
    with pytest.raises(KeyboardInterrupt, match="saved in"):
        fitted(backend, checkpoint=path, before_step=at(4, ctrl_c))
    trainer = fitted(backend, checkpoint=path)
    assert_same_training(trainer, whole("fp32"))


def test_what_is_compared_differs(backend, whole):
    """Dropout, momentum and batch statistics change what follows."""
    state = whole("fp32").get_state()
    assert not same_state(whole("fp32"), fitted(backend, seed=1, max_epochs=1))
    assert any(np.any(a) for name, a in state.items() if not name.startswith("model/"))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_interrupted_again_and_again(backend, whole, tmp_path, precision):
    if (backend, precision) == ("mxnet", "bf16") and not processor.has_bfloat16():
        pytest.skip("MXNet trains in bf16 where the processor multiplies it")
    path = tmp_path / "one.npz"
    run = functools.partial(fitted, backend, checkpoint=path, precision=precision)
    with pytest.raises(CrashError):
        run(before_step=at(1, crash))
    with pytest.raises(KeyboardInterrupt):
        run(before_step=at(1, ctrl_c))
    with pytest.raises(KeyboardInterrupt):
        run(before_val=at(2, ctrl_c))  # the first batch of the second epoch
    with pytest.raises(CrashError):
        run(before_step=at(7, crash))
    assert_same_training(run(), whole(precision))


@in_backends("torch", "mxnet", "tensorflow")  # in JAX it is one tree with all else
def test_what_adam_keeps(backend, d2l, framework, tmp_path):
    """Two arrays for each parameter, and how many steps there were."""
    path = tmp_path / "one.npz"

    class Network(d2l.DenseNetBC):
        def configure_optimizers(self):
            return framework.adam(self, lr=1e-3)

    with pytest.raises(KeyboardInterrupt):
        fitted(backend, Network, checkpoint=path, before_step=at(4, ctrl_c))
    trainer = fitted(backend, Network, checkpoint=path)
    assert_same_training(trainer, fitted(backend, Network))


CHILD = """
import os, signal, sys
from shared.checkpoints import at, fitted

backend, path, moment = sys.argv[1:]

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def die_at_the_second_save(handle, fsync=os.fsync, saved=[]):
    saved.append(handle)
    die() if len(saved) == 2 else fsync(handle)

if moment == "saving":
    os.fsync = die_at_the_second_save
    fitted(backend, checkpoint=path)
else:
    fitted(backend, checkpoint=path, before_step=at(int(moment), die))
"""


def test_killed_processes(capsys, backend, whole, tmp_path):
    """Each process resumes what the one before it has left, and so does this one."""
    path = tmp_path / "one.npz"
    # In the second epoch, then where the third epoch would be saved.
    for moment in ("4", "saving"):
        process = python(CHILD, backend, path, moment)
        assert process.returncode == -signal.SIGKILL, process.stderr
    trainer = fitted(backend, checkpoint=path)
    assert "Resumed from a checkpoint, after epoch 2." in capsys.readouterr().out
    assert_same_training(trainer, whole("fp32"))
