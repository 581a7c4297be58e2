"""What makes PyTorch faster: the layout of its tensors in memory.

It needs no more here: its eager operations are oneDNN's already, and on CPUs compiled steps
were slower. Huge pages are asked for in `loading`, before PyTorch is imported.
"""
