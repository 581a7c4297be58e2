"""The networks of d2l's chapters, one module for each framework: how to make each."""
