"""One reader for all text files of users, whatever editor or system wrote them."""

from __future__ import annotations

import codecs
from pathlib import Path

LONGEST_LINE = 64 * 1024  # characters: of settings, tables and codes; more is no such file
MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def read_text(path: Path, longest_line: int = LONGEST_LINE) -> str:
    """Return a UTF-8 file's text, without a byte order mark, each line ended as on Unix.

    Args:
        path: of the file.
        longest_line: characters that a line may have.

    Raises:
        OSError: there is no such file.
        ValueError: another encoding, a zero byte, or a line that is too long.
    """
    return text_of(path.read_bytes(), longest_line)


def text_of(content: bytes, longest_line: int = LONGEST_LINE) -> str:
    """Return what `read_text` does, of a file's bytes.

    Raises:
        ValueError: as `read_text`.
    """
    for mark, encoding in MARKS.items():
        if content.startswith(mark):
            raise ValueError(f"it is written as {encoding}; save it as UTF-8")
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise ValueError(f"line {line} is not UTF-8, by its byte 0x{byte:02x}; save the file as UTF-8") from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for number, line_text in enumerate(text.split("\n"), start=1):
        if "\0" in line_text:
            raise ValueError(f"line {number} holds a zero byte, which no text has")
        if len(line_text) > longest_line:
            raise ValueError(f"line {number} has {len(line_text):,} characters, more than the {longest_line:,} it may")
    return text
