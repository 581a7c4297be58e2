"""Figures as SVG: the curve that grows during training, lines, and rows of images.

Matplotlib is imported at the first drawing, which keeps `import d2lext` quick.
"""

import io
import itertools
from collections import defaultdict

import numpy as np

from d2lext.core.hyperparameters import HyperParameters


def use_svg_display():
    """Show Matplotlib's figures as SVG in a notebook."""
    from IPython import get_ipython
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    # Outside a notebook it would start a shell.
    if get_ipython() is not None:
        set_matplotlib_formats("svg")


def set_figsize(figsize=(3.5, 2.5)):
    """Make the figures that follow `figsize` (width, height) inches large."""
    from matplotlib import rcParams

    use_svg_display()
    rcParams["figure.figsize"] = figsize


def set_axes(axes, xlabel, ylabel, xlim, ylim, xscale, yscale, legend):
    """Label and scale Matplotlib's `axes`; `legend` holds a name for each line."""
    # Scales first: setting one forgets the limits.
    axes.set(xscale=xscale, yscale=yscale)
    axes.set(xlabel=xlabel, ylabel=ylabel, xlim=xlim, ylim=ylim)
    if legend:
        axes.legend(legend)
    axes.grid()


def plot(
    X,
    Y=None,
    xlabel=None,
    ylabel=None,
    legend=(),
    xlim=None,
    ylim=None,
    xscale="linear",
    yscale="linear",
    fmts=("-", "m--", "g-.", "r:"),
    figsize=(3.5, 2.5),
    axes=None,
):
    """Draw lines through the points (x, y) of X and Y, each one line or several.

    A line is a sequence of numbers or a tensor with one axis. Several lines in Y may
    share one in X; without Y, X holds the heights above 0, 1, 2 and so on.
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


def svg(fig):
    """`fig` as SVG text that depends on nothing but the figure: no date, no random id."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({"svg.hashsalt": "d2lext"}):
        fig.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    return buffer.getvalue()


def show_images(imgs, num_rows, num_cols, titles=None, scale=1.5):
    """Plot images (h, w) or (h, w, 3) in rows; return the axes, a flat array.

    `imgs` holds arrays, tensors or Pillow's images, `titles` what stands above them.
    """
    from matplotlib import pyplot as plt

    _, axes = plt.subplots(
        num_rows, num_cols, figsize=(num_cols * scale, num_rows * scale), squeeze=False
    )
    axes = axes.flatten()
    for i, (ax, img) in enumerate(zip(axes, imgs, strict=False)):
        ax.imshow(_to_numpy(img), cmap="gray_r")  # of grey images only
        ax.set_axis_off()
        if titles:
            ax.set_title(titles[i])
    return axes


def _lines(values):
    """The lines in what `plot` was given, a list of arrays."""
    if isinstance(values, (list, tuple)) and np.ndim(_to_numpy(values[0])) > 0:
        return [_to_numpy(line) for line in values]
    values = _to_numpy(values)
    return [values] if values.ndim == 1 else list(values)


def _to_numpy(tensor):
    """A NumPy array of anything like an array, on whatever device it is."""
    if hasattr(tensor, "asnumpy"):  # MXNet
        return tensor.asnumpy()
    if hasattr(tensor, "detach"):  # PyTorch
        tensor = tensor.detach().cpu()
    return np.asarray(tensor)


class ProgressBoard(HyperParameters):
    """A plot whose lines grow while a model trains; in a notebook it is drawn anew.

    Outside a notebook it keeps the points in `data` and shows nothing.
    """

    def __init__(
        self,
        xlabel=None,
        ylabel=None,
        xlim=None,
        ylim=None,
        xscale="linear",
        yscale="linear",
        ls=("-", "--", "-.", ":"),
        colors=("C0", "C1", "C2", "C3"),
        fig=None,
        axes=None,
        figsize=(5, 3.2),
        display=True,
    ):
        self.save_hyperparameters()
        self.reset()

    def reset(self):
        """Forget all points; the next drawing is a new output."""
        self.data = defaultdict(list)
        self._waiting = defaultdict(list)
        self._handle = None

    def draw(self, x, y, label, every_n=1):
        """Add the point (x, y) to the line `label`.

        `every_n` points are averaged into one; anything below 1 counts as 1.
        """
        waiting = self._waiting[label]
        waiting.append((x, y))
        if len(waiting) < every_n:
            return
        self.data[label].append(
            tuple(sum(v) / len(v) for v in zip(*waiting, strict=True))
        )
        waiting.clear()
        if self.display:
            self._show()

    def restore(self, data):
        """Draw the points that a board had as its `data`, in an earlier process."""
        for label, points in data.items():
            self.data[label] = [tuple(point) for point in points]
        if self.data and self.display:
            self._show()

    def figure(self):
        """The Matplotlib figure of the points so far."""
        from matplotlib.figure import Figure

        # Not pyplot's: a figure of ours is shown once, and is not left open.
        fig = self.fig or Figure(figsize=self.figsize)
        axes = self.axes or fig.gca()
        axes.clear()
        for i, (label, points) in enumerate(self.data.items()):
            style = {
                "ls": self.ls[i % len(self.ls)],
                "c": self.colors[i % len(self.colors)],
            }
            marker = "o" if len(points) < 20 else None
            # Not clipped: the last point lies on the frame.
            style |= {"marker": marker, "ms": 4, "clip_on": False, "zorder": 3}
            axes.plot(*zip(*points, strict=True), **style, label=label)
        axes.set(xlabel=self.xlabel, ylabel=self.ylabel, xlim=self.xlim, ylim=self.ylim)
        axes.set(xscale=self.xscale, yscale=self.yscale)
        axes.grid(alpha=0.3)
        axes.legend()
        return fig

    def _show(self):
        from IPython import display, get_ipython

        if get_ipython() is None:
            return
        picture = display.SVG(svg(self.figure()))
        # One output that is updated: clear_output would make readers' pages
        # flicker and wipe what the cell printed.
        if self._handle is None:
            self._handle = display.display(picture, display_id=True)
        else:
            self._handle.update(picture)
