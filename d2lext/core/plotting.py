"""Figures as SVG: curves that grow during training, lines, and rows of images.

Matplotlib is imported for the first figure, to keep `import d2lext` fast.
"""

import io
import itertools
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from d2lext.core.hyperparameters import HyperParameters

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SALT = "d2lext"  # of the ids in an SVG, which are random otherwise
Limits = tuple[float, float] | None
Array = Any  # lists of numbers, NumPy arrays, tensors of any framework


def use_svg_display() -> None:
    """Show Matplotlib's figures as SVG in a notebook, equal ones as equal text."""
    # Outside a notebook this would start a shell.
    if _is_notebook():
        from matplotlib import rcParams
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        rcParams["svg.hashsalt"] = _SALT
        set_matplotlib_formats("svg", metadata={"Date": None})


def set_figsize(figsize: tuple[float, float] = (3.5, 2.5)) -> None:
    """Set the size (width, height) of later figures, in inches."""
    from matplotlib import rcParams

    use_svg_display()
    rcParams["figure.figsize"] = figsize


def set_axes(
    axes: "Axes",
    xlabel: str | None,
    ylabel: str | None,
    xlim: Limits,
    ylim: Limits,
    xscale: str,
    yscale: str,
    legend: Sequence[str],
) -> None:
    """Label and scale Matplotlib's `axes`; `legend` names each line."""
    # Scales first: setting one resets the limits.
    axes.set(xscale=xscale, yscale=yscale)
    axes.set(xlabel=xlabel, ylabel=ylabel, xlim=xlim, ylim=ylim)
    if legend:
        axes.legend(legend)
    axes.grid()


def plot(
    X: Array,
    Y: Array = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    legend: Sequence[str] = (),
    xlim: Limits = None,
    ylim: Limits = None,
    xscale: str = "linear",
    yscale: str = "linear",
    fmts: Sequence[str] = ("-", "m--", "g-.", "r:"),
    figsize: tuple[float, float] = (3.5, 2.5),
    axes: "Axes | None" = None,
) -> None:
    """Draw lines through the points (x, y) of X and Y, each one line or several.

    A line is a sequence of numbers or a tensor with one axis. Several lines in Y may
    share one in X; without Y, X holds the heights at 0, 1, 2 and so on.
    """
    from matplotlib import pyplot as plt

    set_figsize(figsize)
    axes = plt.gca() if axes is None else axes
    axes.cla()
    X = _lines(X)
    if Y is None:
        X, Y = [np.arange(len(y)) for y in X], X
    else:
        Y = _lines(Y)
    if len(X) == 1:
        X = X * len(Y)
    for x, y, fmt in zip(X, Y, itertools.cycle(fmts), strict=False):
        axes.plot(x, y, fmt)
    set_axes(axes, xlabel, ylabel, xlim, ylim, xscale, yscale, legend)


def svg(fig: "Figure") -> str:
    """`fig` as SVG text that depends only on the figure: no date, no random id."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({"svg.hashsalt": _SALT}):
        fig.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    return buffer.getvalue()


def show_images(
    imgs: Array,
    num_rows: int,
    num_cols: int,
    titles: Sequence[str] | None = None,
    scale: float = 1.5,
) -> np.ndarray:
    """Show images (h, w) or (h, w, 3) in rows; return the axes as a flat array.

    `imgs` holds arrays, tensors or Pillow images; `titles` go above them.
    """
    from matplotlib import pyplot as plt

    _, axes = plt.subplots(
        num_rows,
        num_cols,
        figsize=(num_cols * scale, num_rows * scale),
        squeeze=False,
        layout="constrained",  # room for titles of two lines
    )
    axes = axes.flatten()
    for i, (ax, img) in enumerate(zip(axes, imgs, strict=False)):
        ax.imshow(_to_numpy(img), cmap="gray_r")  # applies to grey images only
        ax.set_axis_off()
        if titles:
            ax.set_title(titles[i])
    return axes


def _lines(values: Array) -> list[np.ndarray]:
    """The lines that were passed to `plot`."""
    if isinstance(values, (list, tuple)) and np.ndim(_to_numpy(values[0])) > 0:
        return [_to_numpy(line) for line in values]
    values = _to_numpy(values)
    return [values] if values.ndim == 1 else list(values)


def _to_numpy(tensor: Array) -> np.ndarray:
    """A NumPy array of anything like an array, on any device."""
    if hasattr(tensor, "asnumpy"):  # MXNet
        return tensor.asnumpy()
    if hasattr(tensor, "detach"):  # PyTorch
        tensor = tensor.detach().cpu()
    return np.asarray(tensor)


def _is_notebook() -> bool:
    """Whether IPython runs the code: then it is loaded, and it need not be installed."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None


class Point(NamedTuple):
    """A point of a line, as two numbers."""

    x: float
    y: float


@dataclass(eq=False, repr=False)
class ProgressBoard(HyperParameters):
    """A plot whose lines grow while a model trains; a notebook redraws it in place.

    Lines such as train_loss and val_loss share axes, and val_acc has axes of its own below
    them. Outside a notebook the board keeps the points in `data` and shows nothing.
    """

    xlabel: str | None = None
    ylabel: str | None = None
    xlim: Limits = None
    ylim: Limits = None
    xscale: str = "linear"
    yscale: str = "linear"
    ls: Sequence[str] = ("-", "--", "-.", ":")
    colors: Sequence[str] = ("C0", "C1", "C2", "C3")
    fig: "Figure | None" = None
    axes: "Axes | None" = None
    figsize: tuple[float, float] = (5, 3.2)
    display: bool = True

    def __post_init__(self) -> None:
        self.hparams = dict(vars(self))
        self.reset()

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle holds: the points, not where they are drawn."""
        nowhere = {"fig": None, "axes": None}
        hparams = {**self.hparams, **nowhere}
        return {**vars(self), **nowhere, "hparams": hparams, "_handle": None}

    def reset(self) -> None:
        """Forget all points; the next drawing is a new output."""
        self.data: dict[str, list[Point]] = defaultdict(list)
        self._waiting: dict[str, list[tuple]] = defaultdict(list)
        self._handle: Any = None  # IPython's, of the output

    def draw(self, x: float, y: float, label: str, every_n: int = 1) -> None:
        """Add the point (x, y), scalars of any library, to the line `label`.

        `every_n` points are averaged into one; anything below 1 counts as 1.
        """
        waiting = self._waiting[label]
        waiting.append((x, y))
        if len(waiting) < every_n:
            return
        self.data[label].append(
            Point(*(float(sum(v) / len(v)) for v in zip(*waiting, strict=True)))
        )
        waiting.clear()
        if self.display:
            self._show()

    def restore(self, data: Mapping[str, Sequence[Sequence[float]]]) -> None:
        """Draw points saved from the `data` of a board in an earlier process."""
        for label, points in data.items():
            self.data[label] = [Point(*point) for point in points]
        if self.data and self.display:
            self._show()

    def figure(self) -> "Figure":
        """The Matplotlib figure of the points so far."""
        from matplotlib.figure import Figure

        # Not pyplot's, which would stay open and be shown twice.
        fig = self.fig or Figure(figsize=self.figsize)
        panels = self._panels(fig)
        for i, (label, points) in enumerate(self.data.items()):
            panels[_quantity(label)].plot(
                *zip(*points, strict=True),
                label=label,
                ls=self.ls[i % len(self.ls)],
                c=self.colors[i % len(self.colors)],
                marker="o" if len(points) < 20 else None,
                ms=4,
                clip_on=False,  # the last point lies on the frame
                zorder=3,
            )
        for quantity, axes in panels.items():
            axes.set(xscale=self.xscale, yscale=self.yscale)
            name = "accuracy" if quantity == "acc" else quantity
            axes.set(xlim=self.xlim, ylim=self.ylim, ylabel=self.ylabel or name)
            axes.grid(alpha=0.3)
            axes.legend()
        axes.set(xlabel=self.xlabel)  # of the last, below the others
        return fig

    def _panels(self, fig: "Figure") -> dict[str | None, "Axes"]:
        """Empty axes for each quantity, one below the other; the caller's for all."""
        quantities = list(dict.fromkeys(map(_quantity, self.data))) or [None]
        if self.axes:
            self.axes.clear()
            return dict.fromkeys(quantities, self.axes)
        fig.clear()
        if not self.fig:  # each further quantity takes half as much height again
            width, height = self.figsize
            fig.set_size_inches(width, height * (1 + len(quantities)) / 2)
        axes = fig.subplots(len(quantities), sharex=True, squeeze=False)
        return dict(zip(quantities, axes[:, 0], strict=True))

    def _show(self) -> None:
        if not _is_notebook():
            return
        from IPython import display

        picture = display.SVG(svg(self.figure()))
        # One output, updated in place: clear_output would make the page flicker and
        # erase what the cell printed.
        if self._handle is None:
            self._handle = display.display(picture, display_id=True)
        else:
            self._handle.update(picture)


def _quantity(label: str) -> str | None:
    """What a line shows: "loss" for train_loss and val_loss, None for any other line.

    >>> _quantity("val_acc"), _quantity("sin")
    ('acc', None)
    """
    kind, _, quantity = label.partition("_")
    return quantity if kind in ("train", "val") and quantity else None
