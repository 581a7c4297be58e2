"""The book's one command: set up what is missing, then hand over to the builder.

Standard library only, in syntax that the Pythons it refuses can still parse.
"""

import os
import sys

ROOT = os.path.dirname(os.path.abspath(__file__))


def check_version(version):
    if not (3, 11) <= tuple(version[:2]) <= (3, 13):
        sys.exit(
            "build.py needs Python 3.11, 3.12 or 3.13; this is {}.{}. Install "
            "one (from your system's packages, with conda or uv) and name it, as in: "
            "python3.12 build.py".format(*version[:2])
        )


def main(argv):
    check_version(sys.version_info)
    sys.path.insert(0, ROOT)
    from builder.command import arguments
    from builder.errors import BookError
    from builder.setup import environment

    try:
        args = arguments.parse(argv)
        needs = arguments.needs(args)
        python = environment.ensure(
            needs, is_setup=args.verb == "setup", gpu=getattr(args, "gpu", None)
        )
    except BookError as error:
        sys.exit("error: {}".format(error))
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; run the same command again to resume\n")
        sys.exit(130)
    environment.hand_over(python, [os.path.join(ROOT, "builder", "__main__.py")] + argv)


if __name__ == "__main__":
    main(sys.argv[1:])
