"""The process of a part: it writes each fact at once, so that it survives a time limit.

    python -m benchmarks.gpu.worker step torch '{"quick": true}'

On the standard output there is a JSON object a line; what frameworks print is elsewhere.
Standard library only: d2l's side loads nothing of ours.
"""

import json
import os
import sys


def main(part, backend, settings):
    """Write the facts of a part; a framework that is missing is one."""
    facts = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(**found):
        print(json.dumps(found), file=facts, flush=True)

    try:
        from benchmarks.gpu import parts

        parts.PARTS[part](tell, backend, **json.loads(settings))
    except ImportError as error:
        tell(absent=str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
