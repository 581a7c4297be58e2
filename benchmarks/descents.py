"""A step of SGD with momentum in each framework, without what `Trainer.fit` does beside it.

`descent(backend, model)` returns the model's `begin(weights)`, which sets weights by
canonical name and forgets the momentum, and `step(X, y, rate)`, for NumPy's X (n, c, h, w)
and y (n,). A network that trains many times is compiled once.
"""

MOMENTUM = 0.9


def descent(backend, model):
    """The functions `begin` and `step` of a model that `create_model` has built."""
    return {"torch": torch, "mxnet": mxnet, "jax": jax, "tensorflow": tensorflow}[
        backend
    ](model)


def torch(model):
    """In PyTorch, not compiled."""
    import torch

    from d2lext import torch as d2l

    optimizer = torch.optim.SGD(model.parameters(), lr=1, momentum=MOMENTUM)

    def begin(weights):
        d2l.set_weights(model, weights)
        optimizer.state.clear()

    def step(X, y, rate):
        model.train()
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        model.loss(model(torch.tensor(X)), torch.tensor(y)).backward()
        optimizer.step()

    return begin, step


def mxnet(model):
    """In MXNet, hybridized."""
    from d2lext import mxnet as d2l  # isort: skip
    from mxnet import autograd, np

    params = [p for p in model.collect_params().values() if p.grad_req != "null"]
    momenta = [np.zeros(p.shape) for p in params]
    model.hybridize()

    def begin(weights):
        d2l.set_weights(model, weights)
        for momentum in momenta:
            momentum[:] = 0

    def step(X, y, rate):
        with autograd.record():
            loss = model.loss(model(np.array(X)), np.array(y, dtype="int32"))
        loss.backward()
        # Not Gluon's optimizer, whose momentum has the rate in it.
        for param, momentum in zip(params, momenta, strict=True):
            momentum *= MOMENTUM
            momentum += param.grad()
            param.set_data(param.data() - rate * momentum)

    return begin, step


def jax(model):
    """In JAX: the step is compiled, and what it changes is in the model's `variables`."""
    import jax
    import optax
    from jax import numpy as jnp

    from d2lext import jax as d2l

    optimizer = optax.trace(MOMENTUM)
    trace = None

    @jax.jit
    def compiled(variables, trace, X, y, rate):
        def loss(params):
            logits, updates = model.apply(
                variables | {"params": params}, X, mutable=["batch_stats"]
            )
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
            return losses.mean(), updates

        params = variables["params"]
        gradients, updates = jax.grad(loss, has_aux=True)(params)
        updated, trace = optimizer.update(gradients, trace)
        params = jax.tree.map(lambda p, u: p - rate * u, params, updated)
        return {"params": params, **updates}, trace

    def begin(weights):
        nonlocal trace
        d2l.set_weights(model, weights)
        trace = optimizer.init(model.variables["params"])

    def step(X, y, rate):
        nonlocal trace
        X, y = jnp.asarray(X.transpose(0, 2, 3, 1)), jnp.asarray(y)
        model.variables, trace = compiled(model.variables, trace, X, y, rate)

    return begin, step


def tensorflow(model):
    """In TensorFlow: the step is a graph."""
    from d2lext import tensorflow as d2l  # isort: skip
    import tensorflow as tf

    params = model.trainable_variables
    momenta = [tf.Variable(tf.zeros(p.shape)) for p in params]

    @tf.function(autograph=False)
    def compiled(X, y, rate):
        with tf.GradientTape() as tape:
            loss = model.loss(model(X, training=True), y)
        gradients = tape.gradient(loss, params)
        for param, momentum, gradient in zip(params, momenta, gradients, strict=True):
            momentum.assign(MOMENTUM * momentum + gradient)
            param.assign_sub(rate * momentum)

    def begin(weights):
        d2l.set_weights(model, weights)
        for momentum in momenta:
            momentum.assign(tf.zeros_like(momentum))

    def step(X, y, rate):
        X = tf.constant(X.transpose(0, 2, 3, 1))
        compiled(X, tf.constant(y), tf.constant(rate, tf.float32))

    return begin, step
