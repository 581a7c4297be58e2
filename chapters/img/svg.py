"""Elements of SVG, and the colours of the drawings in this folder."""

import re
from math import floor

# What a block receives, and what each of its layers adds; the lightest needs an edge.
BLUE, LAYERS = "#17406d", ("#ec9c24", "#04694a", "#c680aa", "#f0d95a")
INK, GREY, LINE, EDGE = "#1f2933", "#52606d", "#cbd2d9", "#a88600"


def element(name, content="", **attributes):
    """An element of SVG; in the names of `attributes`, _ is read as -."""
    given = "".join(f' {k.replace("_", "-")}="{v}"' for k, v in attributes.items())
    return (
        f"<{name}{given}/>" if content == "" else f"<{name}{given}>{content}</{name}>"
    )


def text(x, y, words, size=19, fill=INK, anchor="middle", **attributes):
    """`words` on the line at `y`."""
    place = {"x": number(x), "y": number(y), "font_size": size, "fill": fill}
    if anchor != "start":
        place["text_anchor"] = anchor
    return element("text", words, **place, **attributes)


def path(d, fill="none", **attributes):
    """A path of numbers and commands of SVG, filled or with a stroke."""
    d = "".join(part if isinstance(part, str) else f"{number(part)} " for part in d)
    return element("path", d=re.sub(" (?=[-A-z]|$)", "", d), fill=fill, **attributes)


def number(value):
    """A coordinate, to a tenth of a pixel."""
    rounded = floor(10 * abs(value) + 0.5) / 10
    return f"{-rounded if value < 0 else rounded:g}"


def drawing(name, width, height, title, description, parts):
    """An SVG of `parts` on a white card, described for those who cannot see it."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" '
        f'aria-labelledby="{name}-title {name}-desc" '
        f'font-family="Helvetica, Arial, sans-serif">',
        f"  <!-- Drawn by {name}.py: python -m chapters.img.draw -->",
        f'  <title id="{name}-title">{title}</title>',
        f'  <desc id="{name}-desc">{description}</desc>',
        f'  <rect width="{width}" height="{height}" rx="12" fill="#ffffff"/>',
        *(f"  {part}" for part in parts),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
