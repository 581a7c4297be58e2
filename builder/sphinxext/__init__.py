"""Extensions of Sphinx that the editions are built with."""
