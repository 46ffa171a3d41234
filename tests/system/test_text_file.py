from __future__ import annotations

import pytest

from edgenas.system.text_file import read_text, text_of


@pytest.mark.parametrize(
    "content", [b"a\nb\n", b"a\r\nb\r\n", b"\xef\xbb\xbfa\nb\n", b"a\rb\r"], ids=["unix", "crlf", "mark", "mac"]
)
def test_what_an_editor_did_makes_no_difference(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    assert read_text(tmp_path / "file") == "a\nb\n"


@pytest.mark.parametrize(
    "content, reason",
    [
        ("x".encode("utf-16"), "written as UTF-16; save it as UTF-8"),
        ("x".encode("utf-32"), "written as UTF-32"),
        ("a\nb\ncafé".encode("latin-1"), "line 3 is not UTF-8, by its byte 0xe9"),
        (b"a\nb\0c", "line 2 holds a zero byte"),
        (b"a\n" + b"x" * 101, "line 2 has 101 characters, more than the 100"),
    ],
)
def test_what_is_no_text_is_named_with_its_line(content, reason):
    with pytest.raises(ValueError, match=reason):
        text_of(content, longest_line=100)
