"""The devices of each framework."""

from shared.selected import in_backends


def test_devices(d2l):
    """Where there is no GPU, the CPU takes its place."""
    gpus, num_gpus = d2l.try_all_gpus(), d2l.num_gpus()
    assert len(gpus) == max(1, num_gpus)
    on_cpu = [d2l.cpu(), d2l.try_gpu(num_gpus)] + gpus * (num_gpus == 0)
    for device in on_cpu:
        there = d2l.to(d2l.ones((2, 3)), device)
        place = str(there.ctx if hasattr(there, "ctx") else there.device).lower()
        assert "cpu" in place
        assert d2l.numpy(there).tolist() == [[1] * 3] * 2


@in_backends("torch", "mxnet", "jax")  # TensorFlow's, contexts, do not compare
def test_the_cpu_is_the_device_without_a_gpu(d2l):
    assert d2l.try_gpu(d2l.num_gpus()) == d2l.cpu()
