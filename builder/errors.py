"""The error that an author or reader can mend; it is shown without a traceback."""


class BookError(Exception):
    """What is wrong, where, and what to do about it."""


def chapter_error(path, line, message):
    """A BookError at a line of a chapter, such as `chapters/01-densenet.md:41`."""
    return BookError(f"{path}:{line}: {message}")
