"""What build.py runs once the environment exists.

Run as a file: the builder is not installed, so this adds its folder to the path.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from builder.command.main import main

    sys.exit(main())
