"""What makes PyTorch faster: its tensors' layout in memory, on GPUs captured steps.

Nothing else is needed: its eager operations are oneDNN's and cuDNN's already, and compiled
steps were slower on CPUs. `loading` requests huge pages, before PyTorch is imported.
"""
