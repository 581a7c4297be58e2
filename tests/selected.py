"""The frameworks that this run of the tests is for; none named means all."""

import os

BACKENDS = [name for name in os.environ.get("D2LEXT_BACKENDS", "").split(",") if name]
