"""Files that reports leave behind."""

import json
from pathlib import Path
from typing import Any

from proxytune.files import replace


def write_json(path: Path, document: Any) -> None:
    """Writes the document; a file that is there is replaced as a whole."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    replace(path, lambda new: new.write_text(text + "\n", encoding="utf-8"))
