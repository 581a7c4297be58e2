"""A text that remembers where each of its characters came from.

What is rendered from a source can then be led back to it, character by character; a
character that no source has was generated.
"""

GENERATED = -1


class Traced:
    """`text`, and for each character its place in the source or GENERATED."""

    def __init__(self, text, origins=None):
        self.text = text
        self.origins = list(range(len(text))) if origins is None else origins

    def sub(self, pattern, pieces):
        """Replace each match by `pieces(match)`: spans of this text, or generated text."""
        text, origins, place = [], [], 0
        for match in pattern.finditer(self.text):
            for piece in [(place, match.start()), *pieces(match)]:
                if isinstance(piece, str):
                    text.append(piece)
                    origins += [GENERATED] * len(piece)
                else:
                    text.append(self.text[slice(*piece)])
                    origins += self.origins[slice(*piece)]
            place = match.end()
        text.append(self.text[place:])
        return Traced("".join(text), origins + self.origins[place:])
