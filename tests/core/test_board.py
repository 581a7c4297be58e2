"""The board that draws while a model trains: its points and its figure."""

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
