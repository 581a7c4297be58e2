"""The board that draws while a model trains: its points and its figure."""

import copy

import numpy as np

from d2lext.core import plotting


def test_board_averages_points():
    board = plotting.ProgressBoard(display=False)
    for x in range(6):
        board.draw(x, 10 * x, "loss", every_n=3)
    board.draw(1, 2, "acc")
    assert board.data == {"loss": [(1, 10), (4, 40)], "acc": [(1, 2)]}
    board.draw(2, 3, "now", every_n=0)
    assert board.data["now"] == [(2, 3)]


def test_points_are_numbers_by_name():
    """Whatever scalars a notebook draws, d2l's `board.data[...][-1].y` is a float."""
    board = plotting.ProgressBoard(display=False)
    board.draw(1, np.array(2.0, np.float32), "loss")
    board.restore({"acc": [[1, 0.5]]})
    assert (board.data["loss"][-1].y, board.data["acc"][-1].x) == (2, 1)
    assert type(board.data["loss"][-1].y) is float


def test_plots_are_repeatable_svg():
    board = plotting.ProgressBoard(xlabel="epoch", display=False)
    for x in range(3):
        board.draw(x, x, "train_loss")
    first, second = (plotting.svg(board.figure()) for _ in range(2))
    assert first == second
    assert "<svg" in first
    assert "<dc:date>" not in first


def test_arguments_are_hyperparameters():
    board = plotting.ProgressBoard("epoch", display=False)
    assert (board.hparams["xlabel"], board.hparams["display"]) == ("epoch", False)
    assert set(board.hparams) <= set(vars(board)) - {"data"}


def test_a_copy_has_the_points_alone():
    from matplotlib.figure import Figure

    figure = Figure()
    board = plotting.ProgressBoard(display=False, fig=figure, axes=figure.gca())
    board._handle = object()
    board.draw(1, 2, "loss")
    again = copy.deepcopy(board)
    assert again.data == {"loss": [(1, 2)]}
    assert again.fig is again.axes is again.hparams["fig"] is again._handle is None
    assert board.figure() is figure


def test_each_quantity_of_a_training_has_axes_of_its_own():
    board = plotting.ProgressBoard(xlabel="epoch", display=False)
    board.xlim = [0, 2]
    for label, y in {"train_loss": 2, "val_loss": 1.5, "val_acc": 0.6}.items():
        board.draw(1, y, label)
    panels = board.figure().axes
    assert [
        (axes.get_ylabel(), axes.get_xlabel(), axes.get_xlim(), labels(axes))
        for axes in panels
    ] == [
        ("loss", "", (0, 2), ["train_loss", "val_loss"]),
        ("accuracy", "epoch", (0, 2), ["val_acc"]),
    ]
    assert len({line.get_color() for axes in panels for line in axes.lines}) == 3


def test_other_lines_share_axes():
    board = plotting.ProgressBoard(display=False)
    for label in "sin", "cos", "train_", "loss":
        board.draw(1, 2, label)
    (axes,) = board.figure().axes
    assert labels(axes) == ["sin", "cos", "train_", "loss"]


def test_axes_of_the_caller_hold_every_line():
    from matplotlib.figure import Figure

    figure = Figure()
    board = plotting.ProgressBoard(display=False, fig=figure, axes=figure.gca())
    board.draw(1, 2, "train_loss")
    board.draw(1, 0.5, "val_acc")
    assert board.figure().axes == [board.axes]
    assert labels(board.axes) == ["train_loss", "val_acc"]


def labels(axes):
    return [line.get_label() for line in axes.lines]
