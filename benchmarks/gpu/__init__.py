"""Ten minutes on a machine with a GPU: what tells most comes first.

`run.py` decides what runs, and for how long; each part is a process of its own, whose
facts `parts.py` finds out, and `page.py` writes.
"""
