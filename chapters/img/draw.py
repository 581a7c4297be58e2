"""The drawings in this folder that show numbers, from the library's arithmetic.

    python -m chapters.img.draw

writes each as its module draws it. A test compares them; another one compares growth.js,
which draws what readers choose, with growth.py.
"""

from pathlib import Path

from chapters.img import bottleneck, fourfold, growth, memory, network, padding, step

HERE = Path(__file__).parent
DRAWINGS = {
    "network": network.draw,
    "memory": memory.draw,
    "growth": growth.draw,
    "bottleneck": bottleneck.draw,
    "padding": padding.draw,
    "step": step.draw,
    "fourfold": fourfold.draw,
}

if __name__ == "__main__":
    for name, draw in DRAWINGS.items():
        (HERE / f"{name}.svg").write_text(draw(), "utf-8")
        print(f"wrote {name}.svg")
