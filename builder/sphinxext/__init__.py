"""Extensions of Sphinx, named in the settings of the forms that load them."""
