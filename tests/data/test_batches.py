"""Laws of batches: pure functions of seed and step, windows of the tokens."""

from pathlib import Path

import numpy as np

from proxytune.data.batches import training_batch, validation_batches
from proxytune.data.stream import SPAN, TokenStream
from proxytune.data.tokens import TokenData


def test_a_batch_is_a_pure_function_of_seed_and_step(tokens: Path) -> None:
    data = TokenData.load(tokens)
    again = TokenData.load(tokens)
    for step in (5, 0, 3):
        one = training_batch(data.train, 1, step, 4, 16)
        assert one.shape == (4, 17)
        assert (one == training_batch(again.train, 1, step, 4, 16)).all()
    assert (
        training_batch(data.train, 1, 0, 4, 16) != training_batch(data.train, 2, 0, 4, 16)
    ).any()
    assert (
        training_batch(data.train, 1, 0, 4, 16) != training_batch(data.train, 1, 1, 4, 16)
    ).any()


def test_batches_are_windows_of_the_text(tokens: Path) -> None:
    data = TokenData.load(tokens)
    text = data.train.whole().tobytes()
    for row in training_batch(data.train, 0, 0, 8, 16):
        assert bytes(row.astype(np.uint8)) in text


def test_every_window_can_be_drawn() -> None:
    few = TokenStream.of(np.arange(20, dtype=np.uint8))
    starts = {int(row[0]) for step in range(60) for row in training_batch(few, 0, step, 4, 16)}
    assert starts == {0, 1, 2, 3}


def test_validation_covers_its_tokens_evenly(tokens: Path) -> None:
    held_out = TokenData.load(tokens).validation
    exam, whole = validation_batches(held_out, 2, 4, 16), held_out.whole()
    assert exam.shape == (2, 4, 17)
    assert (exam[0, 0] == whole[:17]).all()
    assert (exam[-1, -1] == whole[-17:]).all()


def test_a_window_goes_on_from_one_span_to_the_next() -> None:
    rng = np.random.default_rng(0)
    files = [rng.integers(1000, size=300).astype(dtype) for dtype in ("<u2", "<u4")]
    spans = np.array(
        [
            (file, start, length)
            for file in (1, 0)
            for start, length in ((7, 5), (40, 0), (90, 31))
        ],
        SPAN,
    )
    joined = np.concatenate([files[f][s : s + n] for f, s, n in spans.tolist()])
    stream = TokenStream(files, spans)
    assert len(stream) == len(joined)
    assert (stream.whole() == joined).all()
    starts = np.arange(len(joined) - 20 + 1)
    assert (stream.windows(starts, 20) == [joined[s : s + 20] for s in starts]).all()
