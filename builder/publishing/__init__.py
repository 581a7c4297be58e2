"""What readers get: site, PDF, EPUB, slides, notebooks for students.

Each form has a module of the same name. All but `student` fill in a
`sphinx_source.Source`, on which `sphinx_build` runs Sphinx.
"""
