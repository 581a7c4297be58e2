"""What readers get: site, PDF, EPUB, slides, notebooks for students.

Each form is a module of its name. All but `student` fill in a `sphinx_source.Source`, on
which `sphinx_build` runs Sphinx.
"""
