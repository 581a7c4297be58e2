"""Sphinx extensions, loaded by the settings of the forms that need them."""
