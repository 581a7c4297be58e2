"""What makes PyTorch faster: the layout of its tensors in memory.

Nothing else is needed: its eager operations are oneDNN's already, and compiled steps were
slower on CPUs. `loading` requests huge pages, before PyTorch is imported.
"""
