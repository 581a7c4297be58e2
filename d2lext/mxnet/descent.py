"""Gluon's SGD as PyTorch's and optax's: the learning rate is not in the momentum."""

from mxnet.ndarray import sgd_mom_update, sgd_update, zeros
from mxnet.optimizer import Optimizer


class Descent(Optimizer):
    """Stochastic gradient descent whose momentum adds up gradients alone.

    MXNet's own adds up steps: a learning rate that has dropped then shows only after some
    more of them. Without `decay_all`, arrays of one axis do not decay.
    """

    def __init__(self, momentum=0.0, nesterov=False, decay_all=True, **options):
        super().__init__(**options)
        self.momentum, self.nesterov, self.decay_all = momentum, nesterov, decay_all

    def create_state(self, index, weight):
        """Minus the momentum of a weight, as MXNet's operation adds it up."""
        if self.momentum:
            return zeros(weight.shape, weight.context, dtype=weight.dtype)
        return None

    def update(self, index, weight, grad, state):
        """One step for one weight, by operations that do all of it at once."""
        self._update_count(index)
        lr, wd = self._get_lr(index), self._get_wd(index)
        if not self.decay_all and len(weight.shape) < 2:
            wd = 0.0
        options = {"wd": wd, "rescale_grad": self.rescale_grad}
        if state is not None:
            # Of what it returns, the weight after a step of length 1, nothing is used.
            sgd_mom_update(weight, grad, state, lr=1, momentum=self.momentum, **options)
        if state is None or self.nesterov:
            sgd_update(weight, grad, out=weight, lr=lr, **options)
        if state is not None:
            ahead = self.momentum if self.nesterov else 1
            sgd_update(weight, state, out=weight, lr=-lr * ahead)
