"""The book's one command: sets up what is missing, then hands over to the builder.

Standard library only, in a syntax that the Pythons it refuses can still read.
"""

import os
import sys

ROOT = os.path.dirname(os.path.abspath(__file__))


def check_version(version):
    if not (3, 11) <= tuple(version[:2]) <= (3, 13):
        sys.exit(
            "build.py needs Python 3.11, 3.12 or 3.13, and this is {}.{}. Install "
            "one (from your system's packages, with conda or uv) and name it, as in: "
            "python3.12 build.py".format(*version[:2])
        )


def main(argv):
    check_version(sys.version_info)
    sys.path.insert(0, ROOT)
    from builder.command import cli
    from builder.errors import BookError
    from builder.setup import environment

    try:
        args = cli.parse(argv)
        needs = cli.needs(args)
        python = environment.ensure(needs, into_active=args.verb == "setup")
    except BookError as error:
        sys.exit("error: {}".format(error))
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; the same command again goes on from here\n")
        sys.exit(130)
    # -P: in d2lext/ the current folder would offer its own torch and jax.
    command = [python, "-P", os.path.join(ROOT, "builder", "__main__.py")] + argv
    if os.name == "posix":
        os.execv(python, command)
    import subprocess

    sys.exit(subprocess.call(command))


if __name__ == "__main__":
    main(sys.argv[1:])
