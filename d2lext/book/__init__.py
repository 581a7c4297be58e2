"""From a chapter to its notebooks and pages; each module is one arrow of that way."""
