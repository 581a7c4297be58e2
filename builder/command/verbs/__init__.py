"""The verbs, one record each: VERBS, in the order of the help.

Each function does its own imports, because build.py parses the command line before
anything is installed.
"""

from builder.command.registry import VERBS
from builder.command.verbs import authoring, formats, project

__all__ = ["VERBS", "authoring", "formats", "project"]
