"""What every format of model files promises; subclass it and give an example."""

from pathlib import Path
from typing import Any

import pytest

from proxytune.config.shape import Shape
from proxytune.errors import InputError
from proxytune.targets.formats import FORMATS, Format, architecture_in


class FormatContract:
    """Tests of one format."""

    fmt: Format
    example: str
    """A file's text."""
    shape: Shape
    """What it describes."""
    refused: tuple[tuple[str, str], ...]
    """Texts of files that no shape describes, with what the message says."""
    wrong: tuple[str, str, str]
    """Text in the example, what to replace it by, and what the message says then."""

    def read(self, text: str, path: Path = Path("model")) -> Any:
        """The architecture that a file describes."""
        document = self.fmt.document(path, text)
        assert document is not None
        return self.fmt.read(document, path)

    def test_the_example_has_its_shape(self) -> None:
        assert self.read(self.example).shape == self.shape

    def test_the_format_is_known_by_what_a_file_holds(self) -> None:
        found = architecture_in(Path("model"), self.example)
        assert found == self.read(self.example)
        others = [fmt for fmt in FORMATS if type(fmt) is not type(self.fmt)]
        assert [fmt.document(Path("model"), self.example) for fmt in others] == [None] * len(
            others
        )

    def test_files_of_users_are_not_taken_for_it(self) -> None:
        for text in ("shape: {d_model: 64}", '{"d_model": 64}', "", "- 1", "words", "{a: 1"):
            assert self.fmt.document(Path("target.yaml"), text) is None

    def test_what_no_shape_describes_is_refused_in_one_sentence(self) -> None:
        for text, says in self.refused:
            with pytest.raises(InputError, match=says) as refused:
                self.read(text, Path("some/model"))
            message = str(refused.value)
            assert message.startswith("some/model: ")
            assert "\n" not in message

    def test_a_mistake_is_told_in_the_file_s_own_words(self) -> None:
        old, new, says = self.wrong
        assert old in self.example
        with pytest.raises(InputError) as refused:
            self.read(self.example.replace(old, new), Path("some/model"))
        assert str(refused.value).startswith(f"some/model: {says}")
