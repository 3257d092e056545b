"""Writes the corpus of kv-copies.yaml: random segments, each followed by a copy of itself.

    python studies/evidence/copies.py studies/evidence/copies.txt

A segment has 32 of 16 symbols, drawn at random; its copy follows at once, then a line's end.
Segments can only be guessed, at ln 16 = 2.77 nats per symbol. Copies can be predicted, but by
attention alone. Once segments are at ln 16, they add a constant to the loss, so the loss over
everything ranks runs as the loss over copies would.
"""

import random
import sys
from pathlib import Path

SYMBOLS = "abcdefghijklmnop"
LENGTH = 32
SEGMENTS = 20_000
SEED = 0


def main(path: Path) -> None:
    draw = random.Random(SEED)
    segments = ("".join(draw.choices(SYMBOLS, k=LENGTH)) for _ in range(SEGMENTS))
    path.write_text("".join(f"{segment}{segment}\n" for segment in segments), encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
