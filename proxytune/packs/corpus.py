"""What is known about the tokens that packs train on."""

from proxytune.config.base import Spec


class CorpusFacts(Spec):
    """The tokens of a corpus, in figures."""

    train: int
    """Tokens to train on."""
    validation: int
    """Tokens to validate on."""
    corpus: int
    """Tokens of the whole corpus, of which these may be a sample."""
    exact: bool
    """Whether `corpus` is counted, not estimated."""
    vocabulary: int | None
    """Size of the tokenizer's vocabulary, if there is a tokenizer."""
    largest: int
    """The largest token; or a negative one, which no vocabulary has."""
    largest_at: str
    """The file that holds it, and where."""
    bytes_per_token: float | None
    """Bytes of text per token to validate on; None if the source does not know."""
    digest: str
    """A hash of the tokens of both splits, in their order."""

    @property
    def vocab_size(self) -> int:
        """The vocabulary that the tokens need."""
        return self.vocabulary or self.largest + 1

    @property
    def text(self) -> str:
        """How many tokens of how many."""
        used = self.train + self.validation
        # Tokens between documents are not counted as the corpus's own.
        if used >= self.corpus:
            return f"{used:,} tokens"
        return f"{used:,} of {'' if self.exact else 'about '}{self.corpus:,} tokens"
