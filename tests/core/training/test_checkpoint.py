"""A training that is killed, stopped or damaged goes on as if nothing had happened."""

import errno
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from shared.checkpoints import (
    CrashError,
    arrays,
    assert_same_training,
    at,
    crash,
    ctrl_c,
    save,
)
from shared.little_room import small_disk, small_files
from shared.numpy_trainer import NUM_STEPS, Data, Model, Trainer, fit
from shared.processes import python

from d2lext.core.training import checkpoint

pytestmark = pytest.mark.usefixtures("whole_runs", "interruptible")


@pytest.fixture
def path(tmp_path):
    """A checkpoint in a folder that does not exist yet."""
    return tmp_path / "runs" / "one.npz"


# The file.


def loaded_epoch(path):
    """The epoch of the checkpoint that counts, whose arrays are those of the epoch."""
    record, found = checkpoint.load(path)
    expected = arrays(record["epoch"])
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    return record["epoch"]


def test_the_newest_counts_and_the_one_before_is_kept(path, capsys):
    assert checkpoint.load(path) is None
    save(path, 1, 2, 3)
    assert loaded_epoch(path) == 3
    assert loaded_epoch(checkpoint.before(path)) == 2
    assert len(list(path.parent.iterdir())) == 2
    assert capsys.readouterr().out == ""


def flipped(share):
    """A change of one bit, at such a share of the file."""

    def flip(content):
        i = min(int(share * len(content)), len(content) - 1)
        return content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :]

    return flip


DAMAGES = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "last-byte-missing": lambda content: content[:-1],
    **{f"bit-at-{i}%": flipped(i / 100) for i in (5, 20, 50, 80, 97)},
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_newest(path, capsys, damage):
    save(path, 1, 2)
    path.write_bytes(damage(path.read_bytes()))
    assert loaded_epoch(path) == 1
    said = capsys.readouterr().out
    assert f"Damaged: the checkpoint {path} (" in said
    assert f"{checkpoint.before(path)} is used instead" in said
    # It does not take the place of the good one.
    save(path, 3)
    assert loaded_epoch(path) == 3
    assert loaded_epoch(checkpoint.before(path)) == 1


def test_every_single_bit_counts(path, capsys):
    """Wherever a bit flips, what is loaded is whole: this epoch's, or the one before."""
    save(path, 1, 2)
    content, found = path.read_bytes(), []
    for share in np.linspace(0, 1, 150):
        path.write_bytes(flipped(share)(content))
        found.append(loaded_epoch(path))
    assert found.count(1) > 130  # some bytes of a zip file say nothing


def test_both_damaged(path):
    save(path, 1, 2)
    for each in (path, checkpoint.before(path)):
        each.write_bytes(each.read_bytes()[:-200])
    with pytest.raises(
        ValueError, match="must be complete, got .* delete .*one.npz"
    ) as caught:
        checkpoint.load(path)
    assert str(path) in str(caught.value)
    assert str(checkpoint.before(path)) in str(caught.value)


def write_arrays(path):
    with open(path, "wb") as file:
        np.savez(file, w=np.ones(3))


OTHER_FILES = {
    "text": lambda path: path.write_text("x" * 5000),
    "arrays": write_arrays,
    "folder": Path.mkdir,
}


@pytest.mark.parametrize("write", OTHER_FILES.values(), ids=OTHER_FILES)
@pytest.mark.parametrize("name", [lambda path: path, checkpoint.before])
def test_a_file_that_is_no_checkpoint_stays(path, name, write):
    """Whatever has its name, or that of the checkpoint before, is not ours to replace."""
    save(path, 1, 2)
    other, kept = name(path), checkpoint.files(path)
    kept.remove(other)
    other.unlink()
    write(other)
    content = other.read_bytes() if other.is_file() else None
    for use in (lambda: save(path, 3), lambda: checkpoint.load(path), fit_to(path)):
        with pytest.raises(ValueError, match="(something else|folder).*name a") as e:
            use()
        assert str(other) in str(e.value)
        assert "delete" not in str(e.value)
    assert content == (other.read_bytes() if other.is_file() else None)
    assert [loaded_epoch_of(each) for each in kept] in ([1], [2])


def fit_to(path):
    return lambda: fit(checkpoint=path)


def loaded_epoch_of(file):
    with np.load(file) as archive:
        return int(archive["steps"])


def test_an_empty_file_is_nobodys(path):
    path.parent.mkdir()
    path.touch()
    whole, _ = fit(checkpoint=path)
    assert_same_training(whole, fit()[0])


def test_reading_executes_nothing(path):
    class Pickled:
        def __reduce__(self):
            return Path.touch, (path.with_name("executed"),)

    save(path, 1)
    with open(path, "wb") as file:
        np.savez(file, **{"record.json": np.array([Pickled()], dtype=object)})
    with pytest.raises(ValueError, match="must be complete, got .* delete .*one.npz"):
        checkpoint.load(path)
    assert not path.with_name("executed").exists()


def test_numbers_of_any_library_in_the_record(path):
    checkpoint.save(path, {"y": np.float32(0.5)}, {})
    assert checkpoint.load(path) == ({"y": 0.5}, {})


SAVER = """
import os, signal, sys, zipfile
from shared.checkpoints import save

module, name, number = sys.argv[2:]
owner = {"os": os, "zipfile": zipfile.ZipFile}[module]
function, calls = getattr(owner, name), 0

def counted(*args, **kwargs):
    global calls
    calls += 1
    if calls == int(number):
        os.kill(os.getpid(), signal.SIGKILL)
    return function(*args, **kwargs)

save(sys.argv[1], 1, 2)
setattr(owner, name, counted)
save(sys.argv[1], 3)
"""


@pytest.mark.parametrize(
    ("module", "name", "number", "epoch"),
    [
        ("zipfile", "open", 1, 2),
        ("zipfile", "open", 3, 2),
        ("zipfile", "close", 1, 2),
        ("os", "fsync", 1, 2),
        ("os", "replace", 1, 2),
        ("os", "replace", 2, 2),
    ],
)
def test_killed_while_it_is_written(path, module, name, number, epoch, capsys):
    process = python(SAVER, path, module, name, number)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert loaded_epoch(path) == epoch
    assert capsys.readouterr().out == "", "nothing is damaged"
    save(path, 4, 5)
    assert loaded_epoch(path) == 5
    assert loaded_epoch(checkpoint.before(path)) == 4
    assert len(list(path.parent.iterdir())) == 2


# A disk without room.


@pytest.fixture(params=["disk", "limit"])
def little_room(request, path):
    """No more than 15 kB fit in the folder of the checkpoint, or into a file."""
    path.parent.mkdir()
    is_disk = request.param == "disk"
    with small_disk(path.parent, "28k") if is_disk else small_files(15_000):
        yield


def test_full_disk(little_room, path):
    save(path, 1)
    larger = {"model/w": np.ones(10_000)}
    with pytest.raises(OSError, match="checkpoint of 1 MiB must be written") as caught:
        checkpoint.save(path, {"epoch": 2}, larger)
    assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)
    for part in (str(path), "make room", "epoch before"):
        assert part in str(caught.value)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert loaded_epoch(path) == 1


def test_full_disk_in_a_training(path, monkeypatch):
    """It stops, and resumes from the epoch before when there is room again."""
    whole, _ = fit()
    fsync, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) == 3:  # at the start, after the first epoch, after the second one
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device.*make room"):
        fit(checkpoint=path)
    trainer, _ = fit(checkpoint=path, before_step=lambda i: i >= NUM_STEPS or crash())
    assert_same_training(trainer, whole)


def test_a_folder_that_cannot_be_is_an_error_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Not a directory.*name another file"):
        fit(checkpoint=tmp_path / "file/runs/one.npz", before_step=lambda i: crash())


# A training without a framework: at every moment.


@pytest.mark.parametrize("moment", range(3 * NUM_STEPS))
def test_a_crash_at_any_step(path, moment, capsys):
    whole, _ = fit()
    with pytest.raises(CrashError):
        fit(checkpoint=path, before_step=at(moment, crash))
    capsys.readouterr()
    first = []
    trainer, _ = fit(checkpoint=str(path), before_step=first.append)
    assert_same_training(trainer, whole)
    epoch = moment // NUM_STEPS
    assert first[0] == epoch * NUM_STEPS, "resumes from the last finished epoch"
    said = capsys.readouterr().out
    assert (f"Resumed from a checkpoint, after epoch {epoch}." in said) == (epoch > 0)


@pytest.mark.parametrize("moment", range(3 * NUM_STEPS))
def test_ctrl_c_at_any_step(path, moment, capsys):
    whole, _ = fit()
    with pytest.raises(KeyboardInterrupt, match=f"saved in {path}"):
        fit(checkpoint=path, before_step=at(moment, ctrl_c))
    first = []
    trainer, _ = fit(checkpoint=path, before_step=first.append)
    assert_same_training(trainer, whole)
    assert first[:1] == list(range(3 * NUM_STEPS))[moment + 1 :][:1], "none is repeated"
    epoch, steps = divmod(moment + 1, NUM_STEPS)
    if steps:
        assert f"after epoch {epoch} and {steps} steps." in capsys.readouterr().out


@pytest.mark.parametrize("moment", range(3 * 2))
def test_ctrl_c_in_validation(path, moment):
    whole, _ = fit()
    with pytest.raises(KeyboardInterrupt, match=f"saved in {path}"):
        fit(checkpoint=path, before_val=at(moment, ctrl_c))
    first = []
    trainer, _ = fit(checkpoint=path, before_step=first.append)
    assert first[:1] == list(range(3 * NUM_STEPS))[(moment // 2 + 1) * NUM_STEPS :][:1]
    assert_same_training(trainer, whole)


def test_ctrl_c_while_a_checkpoint_is_written(path, monkeypatch):
    whole, _ = fit()
    fsync, calls = os.fsync, []

    def pressed(handle):
        calls.append(handle)
        if len(calls) == 4:  # the last one
            ctrl_c()
        fsync(handle)

    monkeypatch.setattr(os, "fsync", pressed)
    with pytest.raises(KeyboardInterrupt, match=f"saved in {path}"):
        fit(checkpoint=path)
    trainer, _ = fit(checkpoint=path, before_step=lambda i: crash())
    assert_same_training(trainer, whole)


def test_second_ctrl_c_does_not_wait(path):
    reached = []

    def twice(i):
        if i == NUM_STEPS + 1:
            ctrl_c()
            reached.append("after the first one")
            ctrl_c()
            reached.append("after the second one")

    with pytest.raises(KeyboardInterrupt) as caught:
        fit(checkpoint=path, before_step=twice)
    assert reached == ["after the first one"]
    assert "saved" not in str(caught.value)
    trainer, _ = fit(checkpoint=path)
    assert_same_training(trainer, fit()[0])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_without_a_checkpoint_is_pythons():
    with pytest.raises(KeyboardInterrupt):
        fit(before_step=at(1, lambda: (ctrl_c(), crash())))


def test_a_batch_that_is_no_number_is_not_saved_by_ctrl_c(path):
    """The weights after it are useless, so the checkpoint before it stays."""
    model = Model()

    def spoil(i):
        if i == NUM_STEPS:
            model.w[:] = np.nan
            ctrl_c()

    stops = (FloatingPointError, KeyboardInterrupt)
    with pytest.raises(stops, match="in epoch 2") as caught:
        fit(checkpoint=path, model=model, before_step=spoil)
    assert caught.type is FloatingPointError
    trainer, _ = fit(checkpoint=path)
    assert_same_training(trainer, fit()[0])


@pytest.mark.parametrize("pressed", [True, False])
def test_weights_that_are_no_numbers_are_not_saved_whatever_the_loss(path, pressed):
    class Hidden(Trainer):
        def train_step(self, batch):
            super().train_step(batch)
            if self.train_batch_idx == NUM_STEPS:
                self.model.w[2] = np.inf
                if pressed:
                    ctrl_c()
            return {"train_loss": 1.0}

    stops = (FloatingPointError, KeyboardInterrupt)
    with np.errstate(invalid="ignore"), pytest.raises(stops, match="finite") as caught:
        Hidden(3, checkpoint=path).fit(Model(), Data())
    assert caught.type is FloatingPointError
    record, saved = checkpoint.load(path)
    assert record["epoch"] == 1
    assert np.isfinite(saved["model/w"]).all()


def test_weights_that_are_no_numbers_after_the_last_step_are_not_saved(path):
    model = Model()
    spoil = at(2, lambda: model.w.fill(np.nan))  # when it is validated
    with pytest.raises(FloatingPointError, match="validation loss .* in epoch 2"):
        fit(checkpoint=path, model=model, before_val=spoil)
    trainer, _ = fit(checkpoint=path)
    assert_same_training(trainer, fit()[0])


def test_damaged_newest_in_a_training(path, capsys):
    whole, _ = fit(checkpoint=path)
    path.write_bytes(path.read_bytes()[:-9])
    trainer, _ = fit(checkpoint=path)
    said = capsys.readouterr().out
    assert "Damaged" in said
    assert "Resumed from a checkpoint, after epoch 2." in said
    assert_same_training(trainer, whole)


def test_a_finished_training_is_shown_and_not_repeated(path, capsys):
    whole, _ = fit(checkpoint=path)
    first = capsys.readouterr().out
    trainer, _ = fit(checkpoint=path, before_step=lambda i: crash())
    assert_same_training(trainer, whole)
    assert capsys.readouterr().out.endswith(first)
    assert "after 3 epochs of 26 examples" in first


def test_more_epochs_later(path):
    fit(checkpoint=path, max_epochs=2)
    trainer, _ = fit(
        checkpoint=path, max_epochs=5, before_step=lambda i: i > 7 or crash()
    )
    assert_same_training(trainer, fit(max_epochs=5)[0])


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"model": Model(lr=0.1)}, "lr = 0.01 where it is 0.1 now"),
        ({"seed": 1}, "seed = 0 where it is 1 now"),
        ({"precision": "bf16"}, "precision = 'fp32' where it is 'bf16' now"),
        ({"gradient_clip_val": 1}, "gradient_clip_val = 0 where it is 1 now"),
        ({"deterministic": True}, "deterministic = False where it is True now"),
        # As many batches, but others.
        ({"data": Data(7)}, "data.batch_size = 8 where it is 7 now"),
    ],
)
def test_checkpoint_of_another_training(path, options, difference):
    fit(checkpoint=path, max_epochs=1)
    content = path.read_bytes()
    with pytest.raises(ValueError, match="of the same training") as caught:
        fit(checkpoint=path, max_epochs=2, **options)
    said = str(caught.value)
    assert difference in said
    assert str(path) in said
    assert "name another file, or delete" in said
    assert path.read_bytes() == content


def test_checkpoint_of_another_network(path):
    fit(checkpoint=path, max_epochs=1)
    other = Model()
    other.w = np.zeros(4)
    with pytest.raises(ValueError, match=r"got an array model/w \(\d,\)"):
        fit(checkpoint=path, model=other)


def test_a_checkpoint_of_no_step_is_of_any_training(path):
    """After an exception in the first step, what was wrong may be changed."""
    with pytest.raises(CrashError):
        fit(checkpoint=path, before_step=at(0, crash))
    trainer, _ = fit(checkpoint=path, data=Data(4))
    assert_same_training(trainer, fit(data=Data(4))[0])


def test_less_memory_is_the_same_training(path):
    models = [Model(), Model()]
    for model, efficient in zip(models, (False, True), strict=True):
        model.hparams["memory_efficient"] = efficient
    fit(checkpoint=path, model=models[0], max_epochs=1)
    fit(checkpoint=path, model=models[1], before_step=lambda i: i > 3 or crash())


def test_options_that_are_functions(path):
    """In each process they lie elsewhere in memory."""
    fit(checkpoint=path, model=Model(loss=lambda: 0), max_epochs=1)
    fit(checkpoint=path, model=Model(loss=lambda: 0), max_epochs=1)


def test_points_that_a_model_draws_by_itself(path):
    def draw(i):
        model.board.draw(i, np.float32(0.5 * i), "norm")

    model = Model()
    with pytest.raises(CrashError):
        fit(
            checkpoint=path,
            model=model,
            before_step=lambda i: crash() if i == NUM_STEPS else draw(i),
        )
    model = Model()
    fit(checkpoint=path, model=model, before_step=draw)
    assert model.board.data["norm"] == [(i, 0.5 * i) for i in range(3 * NUM_STEPS)]


def test_folder_of_checkpoints(tmp_path, monkeypatch):
    """Consecutive trainings take consecutive files, also when they are repeated."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("D2LEXT_CHECKPOINTS", "~/recording")

    def process(crash_in_second):
        monkeypatch.setattr(checkpoint, "_fits", iter(range(1, 9)))
        random = Model()
        random.w += crash_in_second  # as in each process of a chapter without seeds
        fit(max_epochs=1, model=random)
        if crash_in_second:
            with pytest.raises(CrashError):
                fit(seed=1, before_step=at(NUM_STEPS, crash))
            return None
        return fit(seed=1, before_step=lambda i: i >= NUM_STEPS or crash())[0]

    process(True)
    names = sorted(p.name for p in (tmp_path / "recording").iterdir())
    assert [n for n in names if n.endswith("npz")] == ["fit-1.npz", "fit-2.npz"]
    again = process(False)
    monkeypatch.delenv("D2LEXT_CHECKPOINTS")
    assert_same_training(again, fit(seed=1)[0])


def test_a_loader_of_unknown_length(path):
    class Generated(Data):
        def get_dataloader(self, train):
            loader = super().get_dataloader(train)
            loader.epoch = 0  # of which the trainer knows nothing: always one order
            return iter(loader)

    whole, _ = fit(data=Generated())
    with pytest.raises(CrashError):
        fit(data=Generated(), checkpoint=path, before_step=at(NUM_STEPS + 1, crash))
    trainer, _ = fit(data=Generated(), checkpoint=path)
    assert_same_training(trainer, whole)
