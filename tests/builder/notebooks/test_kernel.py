"""The kernel's environment: the book's, whatever the user's shell and home say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from shared import ROOT

from builder.notebooks import kernel, outputs

ASK = """\
# Ask

```{code-cell}
import os
import warnings

import matplotlib
import matplotlib.pyplot as plt

print("inline" in matplotlib.get_backend(), matplotlib.rcParams["lines.linewidth"])
print({name for name in ("started", "profile") if name in globals()})
print(os.environ.get("JAX_ENABLE_X64"), os.environ["CUDA_VISIBLE_DEVICES"])
print(os.environ["D2LEXT_DATA"], f"{os.environ['D2LEXT_FAST']!r}")
warnings.warn("seen")
plt.plot([1, 2])
plt.show()
```
"""


@pytest.mark.slow
def test_the_users_settings_do_not_change_a_recording(tiny, tmp_path, monkeypatch):
    (tiny.root / "chapters" / "01-tiny.md").write_text(ASK)
    home = tmp_path / "home"
    startup = home / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("profile = True")
    (home / "started.py").write_text("started = True")
    (home / "matplotlibrc").write_text("lines.linewidth: 9\nbackend: svg")
    wrong = home / "kernels" / "python3"  # `python3`, as other programs install it
    wrong.mkdir(parents=True)
    spec = {"argv": ["false"], "display_name": "", "language": "python"}
    (wrong / "kernel.json").write_text(json.dumps(spec))
    for name, value in {
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": str(home),
        "MATPLOTLIBRC": str(home / "matplotlibrc"),
        "IPYTHONDIR": str(home),
        "PYTHONSTARTUP": str(home / "started.py"),
        "PYTHONWARNINGS": "ignore",
        "JUPYTER_PATH": str(home),
        "JAX_ENABLE_X64": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "D2LEXT_DATA": "/somewhere",
        "D2LEXT_FAST": "1",
    }.items():
        monkeypatch.setenv(name, value)
    tiny.record("torch")
    [_, cell] = tiny.notebook("torch").cells
    lines = outputs.shown_text(cell.outputs).splitlines()
    assert lines == ["True 1.5", "set()", "None ", "/somewhere ''"]
    [warning] = [o.text for o in cell.outputs if o.get("name") == "stderr"]
    assert "UserWarning: seen" in warning
    [plot] = [o.data for o in cell.outputs if o.output_type == "display_data"]
    assert {*plot} & {"image/png", "image/svg+xml"}


# What each program's own documentation says that the variable changes.
@pytest.mark.parametrize(
    "name",
    [
        *("PYTHONOPTIMIZE", "PYTHONHASHSEED", "PYTHONIOENCODING", "LANG", "LC_NUMERIC"),
        *("COLUMNS", "NO_COLOR", "FORCE_COLOR", "TERM", "TQDM_MININTERVAL"),
        *("JAX_DEFAULT_MATMUL_PRECISION", "JAX_NUMPY_RANK_PROMOTION", "XLA_FLAGS"),
        *("TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS", "KERAS_BACKEND"),
        *("TORCH_LOGS", "TORCHDYNAMO_DISABLE", "NVIDIA_TF32_OVERRIDE", "MKL_VERBOSE"),
        *("MXNET_ENGINE_TYPE", "CUBLAS_WORKSPACE_CONFIG", "D2LEXT_EPOCHS"),
    ],
)
def test_what_changes_results_does_not_pass(name, tmp_path):
    assert name not in kernel.environment(tmp_path, {name: "1"})


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "HOME", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "HTTPS_PROXY", "no_proxy"),
        *("CUDA_VISIBLE_DEVICES", "CUDA_HOME", "NVIDIA_VISIBLE_DEVICES", "HF_TOKEN"),
        *("JAX_PLATFORMS", "JAX_COMPILATION_CACHE_DIR", "OMP_NUM_THREADS"),
        *("XLA_PYTHON_CLIENT_PREALLOCATE", "TF_FORCE_GPU_ALLOW_GROWTH", "TORCH_HOME"),
        *("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "PYTHONPATH"),
        *("D2LEXT_CACHE", "MPLCONFIGDIR", "SLURM_JOB_ID"),
    ],
)
def test_what_says_where_to_run_is_the_users(name, tmp_path):
    assert kernel.environment(tmp_path, {name: "1"})[name] == "1"


def test_modes_of_one_recording(tmp_path):
    variables = kernel.environment(
        tmp_path, os.environ, FAST=0, EPOCHS=2, CHECKPOINTS=None
    )
    modes = {
        name: variables[f"D2LEXT_{name}"] for name in ("FAST", "EPOCHS", "CHECKPOINTS")
    }
    assert modes == {"FAST": "", "EPOCHS": "2", "CHECKPOINTS": ""}


SEEN = """\
import os
print(*(os.environ.get(name) for name in ("MPLBACKEND", "TZ", "D2LEXT_FAST")))
print([name for name in os.environ if name.startswith("FLAX_")])
"""


@pytest.mark.slow
def test_a_notebook_is_tested_in_the_environment_of_recordings(tmp_path):
    inline = "module://matplotlib_inline.backend_inline"
    cell = nbformat.v4.new_code_cell(
        SEEN,
        outputs=[
            nbformat.v4.new_output(
                "stream", name="stdout", text=f"{inline} UTC 1\n[]\n"
            )
        ],
        execution_count=1,
    )
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "seen.ipynb")
    here = Path(__file__).relative_to(ROOT)  # so that conftest.py is read
    command = [sys.executable, "-m", "pytest", "-p", "builder"]
    command += [str(here), str(tmp_path), "-k", "Cell"]
    command += ["--nbval", "--nbval-current-env", "-p", "no:cacheprovider"]
    variables = {**os.environ, "MPLBACKEND": "agg", "TZ": "America/Lima"}
    variables["FLAX_PROFILE"] = "1"
    done = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True
    )
    assert " 1 passed" in done.stdout, done.stdout + done.stderr
