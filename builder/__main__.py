"""What build.py hands over to once the environment is there.

Run as a file: the builder is not installed, so its folder has to be found here.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from builder.command.cli import main

    sys.exit(main())
