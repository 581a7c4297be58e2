"""Turns chapters into notebooks, and notebooks into everything that readers get."""

import sys

# nbformat needs jsonschema, which imports a grammar of international addresses where there
# is one. That takes 2 s to parse, and no notebook is checked for such addresses.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
