"""Values that were shown, compared with those expected: as a fair teacher would."""

import pytest

from d2lext.core.values import agree

COUNTS = "without: 285696\nwith: 163840"
PAIR = "[0.1, 0.2]"
MATRIX = "[[1, 2], [3, 4]]"
TABLE = "121 7978856\n169 14149480"
POOLING = "average: commutes True, reaches 100%\nmaximum: commutes False, reaches 25%"


@pytest.mark.parametrize(
    ("expected", "shown"),
    [
        # How a number is written, its type, and what surrounds it
        ("285696", "285,696"),
        ("285696", "285_696"),
        ("285696", "285\u202f696"),
        ("285696", "285696.0"),
        ("285696", "2.85696e+05"),
        ("285696", "np.int64(285696)"),
        ("0.5", "np.float64(0.5)"),
        ("1e-05", "0.00001"),
        ("0", "-0.0"),
        ("-inf", "-inf"),
        ("nan", "nan"),
        ("True", "np.True_"),
        ("True", "tf.Tensor(True, shape=(), dtype=bool)"),
        ("0.5 s", "0.5s"),
        ("436 MiB", "436"),
        # Three digits
        ("0.3333333333333333", "0.333"),
        ("0.3333333333333333", "0.33333334"),
        ("2.67", "2.6666667"),
        # Labels, lines and layout
        (COUNTS, "debug: 3\nwithout:  285,696\nwith: 163840.0\n"),
        (COUNTS, "(285696, 163840)"),
        (COUNTS, "{'without': 285696, 'with': 163840}"),
        (COUNTS, "285696\n\nand\n163840\ndone"),
        (POOLING, "average True 100.0 %\nmaximum False 25.0 %"),
        ("conv 3x3, 256 to 32: 73760", "73760"),
        ("conv 3x3, 256 to 32: 73760", "3x3 conv, 256 -> 32, 73760"),
        # Arrays of all frameworks
        (PAIR, "array([0.1, 0.2], dtype=float32)"),
        (PAIR, "tensor([0.1000, 0.2000], device='cuda:0', grad_fn=<AddBackward0>)"),
        (PAIR, "Parameter containing:\ntensor([0.1, 0.2], requires_grad=True)"),
        (PAIR, "Array([0.1, 0.2],\n      dtype=float32, weak_type=True)"),
        (PAIR, "tf.Tensor([0.1 0.2], shape=(2,), dtype=float32)"),
        (PAIR, "<tf.Tensor: shape=(2,), dtype=float32, numpy=array([0.1, 0.2])>"),
        (PAIR, "<tf.Variable 'w:0' shape=(2,) dtype=float32, numpy=array([0.1, 0.2])>"),
        (PAIR, "[0.1 0.2]\n<NDArray 2 @cpu(0)>"),
        (PAIR, "array([0.1, 0.2], device=gpu(0))"),
        (MATRIX, "tf.Tensor(\n[[1. 2.]\n [3. 4.]], shape=(2, 2), dtype=float32)"),
        # Shapes
        ("torch.Size([1, 64])", "(1, 64)"),
        ("(1, 64)", "TensorShape([1, 64])"),
        ("(64, 128, 256)", "64,128,256"),
        # Tables
        (TABLE, "   layers   count\n0     121 7978856\n1     169 14149480"),
        (TABLE, "121     7978856\n169    14149480\nName: 0, dtype: int64"),
        (TABLE, "DenseNet-121: 7978856\nDenseNet-169: 14,149,480"),
        (TABLE, "| layers | n |\n|---|---|\n| 121 | 7978856 |\n| 169 | 14149480 |"),
        # What a notebook adds
        ("131", "131\nCPU times: user 5 ms, sys: 3 ms, total: 8 ms\nWall time: 8 ms"),
        ("131", "10%|#\r100%|##\r131"),
        ("131", "\x1b[1m131\x1b[0m"),
        # Words, where nothing else is expected
        ("relu", "'ReLU'"),
        ("best: relu", "tanh 3\nIt is: relu"),
    ],
)
def test_a_right_answer_in_any_form(expected, shown):
    assert agree(shown, expected)


@pytest.mark.parametrize(
    ("expected", "shown"),
    [
        ("285696", ""),
        ("285696", "285697"),
        ("285696", "285696.4"),
        ("3", "3.4"),
        ("0.5", "0.54"),
        ("2.67", "2.68"),
        ("1e-05", "1.4e-05"),
        ("1e5", "140000"),
        ("-1.5", "1.5"),
        ("nan", "0"),
        ("True", "1"),
        ("True", "True/False"),
        # More than the answer
        ("131", "\n".join(map(str, range(1001)))),
        ("131", " ".join(map(str, range(132)))),
        ("131", str([*range(132)])),
        ("131", "3 131"),
        ("131", "131\n5"),
        ("3", "[[1]\n [2]\n [3]]"),
        ("True", "False, True"),
        # Less, or in another order
        (COUNTS, "with: 163840"),
        (COUNTS, "without: 163840\nwith: 285696"),
        (COUNTS, "285696 0 163840"),
        (COUNTS, "without: …\nwith: …"),
        (TABLE, "121 169"),
        (TABLE, "121 14149480\n169 7978856"),
        ("2.0 3.0", "9.0 3.0"),
        ("3 4", "7 4"),
        # Of another shape, or in the shape alone
        ("torch.Size([1, 64])", "(64, 1)"),
        ("torch.Size([1, 64])", "64"),
        ("[1, 2]", "<tf.Tensor: shape=(1, 2), dtype=int32, numpy=[[7, 7]]>"),
        ("2", "<Figure size 640x480 with 2 Axes>"),
        ("relu", ""),
        ("relu", "tanh"),
        ("relu", "relu or tanh"),
    ],
)
def test_a_wrong_answer(expected, shown):
    assert not agree(shown, expected)


def test_an_author_s_tolerance_is_absolute_or_relative():
    assert agree("435.75", "436 MiB", "0.5")
    assert not agree("435.25", "436 MiB", "0.5")
    assert agree("-101", "-100", "1%")
    assert not agree("101.5", "100", "1%")
    assert not agree("0.5004", "0.5", "0.0001")
