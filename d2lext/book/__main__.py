"""`python -m d2lext.book`: what build.py hands over to once the environment is there."""

import sys

from d2lext.book.cli import main

sys.exit(main())
