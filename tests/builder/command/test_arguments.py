"""The command line: verbs, help, and what each verb needs."""

import pytest

from builder.command import arguments, options
from builder.command.verbs import VERBS
from builder.errors import BookError


@pytest.mark.parametrize(
    ("argv", "verb", "backend"),
    [
        ([], "all", None),
        (["--backend", "tf"], "all", ["tensorflow"]),
        (["run", "densenet", "--backend", "jax"], "run", ["jax"]),
        (["test", "--quick"], "test", None),
        (["lab", "--backend", "pytorch", "--backend", "torch"], "lab", ["torch"]),
    ],
)
def test_parsing(argv, verb, backend):
    args = arguments.parse(argv)
    assert (args.verb, args.backend) == (verb, backend)


def test_each_verb_needs_what_it_runs():
    def needs(*argv):
        return arguments.needs(arguments.parse(argv))

    assert needs() == needs("html") == {"book"}
    assert needs("run", "--backend", "jax") == {"book", "jax"}
    assert needs("test") == {"book", "test", "torch", "mxnet", "jax", "tensorflow"}
    assert needs("setup", "--backend", "tf") == {"book", "test", "tensorflow"}
    assert "lab" in needs("setup")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb, capsys):
    with pytest.raises(SystemExit) as done:
        arguments.parse([verb, "--help"])
    assert done.value.code == 0
    assert "Example: python build.py" in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: verb.name)
def test_every_verb_says_what_it_does(verb):
    assert verb.summary[0].isupper()
    assert verb.summary.endswith(".")
    assert verb.example.split()[:1] in ([verb.name], [])
    arguments.parse([verb.name, "title"] if verb.name == "new" else [verb.name])


def test_an_unknown_backend_is_refused():
    with pytest.raises(BookError, match="unknown backend 'theano': choose from torch"):
        arguments.parse(["run", "--backend", "theano"])


def test_no_mxnet_where_it_has_no_wheels(monkeypatch):
    def backends(*argv):
        return options.backends(arguments.parse(argv))

    monkeypatch.setattr(options.machine, "kind", lambda: "darwin-arm64")
    assert "mxnet" not in backends("test")
    assert backends("test", "--backend", "mxnet") == ["mxnet"]
    monkeypatch.setattr(options.machine, "kind", lambda: "linux-x86_64")
    assert "mxnet" in backends("test")
