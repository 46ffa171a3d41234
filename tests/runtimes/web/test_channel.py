"""Messages over two pipes: whole, in order, however they are cut; and an end or a silence is told."""

import os

import pytest

from edgenas.runtimes.web.channel import CHUNK_BYTES, Channel, Gone


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    for end in (reader, writer):
        try:
            os.close(end)
        except OSError:
            pass


@pytest.mark.parametrize("end", [b"\n", b"\0"])
def test_messages_arrive_whole_and_in_order(pipe, end):
    channel = Channel(*pipe, end)
    messages = [{"text": "line\nbreak \0 naïve"}, {}, {"n": [1, None]}]
    for message in messages:
        channel.send(message)
    assert [channel.receive(1.0) for _ in messages] == messages


def test_a_message_longer_than_a_read_is_put_together(pipe):
    reader, writer = pipe
    os.set_blocking(writer, False)
    text = "x" * (CHUNK_BYTES // 2)
    channel = Channel(reader, writer, b"\n")
    os.write(writer, b'{"text": "' + text[:1000].encode())
    os.write(writer, text[1000:].encode() + b'"}\n{"next"')
    assert channel.receive(1.0) == {"text": text}
    os.write(writer, b": 1}\n")
    assert channel.receive(1.0) == {"next": 1}


def test_an_end_is_told_even_in_the_middle_of_a_message(pipe):
    reader, writer = pipe
    os.write(writer, b'{"half')
    os.close(writer)
    with pytest.raises(Gone, match="closed"):
        Channel(reader, writer, b"\n").receive()


def test_a_closed_reader_is_told_to_the_sender(pipe):
    reader, writer = pipe
    os.close(reader)
    with pytest.raises(Gone, match="closed"):
        Channel(reader, writer, b"\n").send({})


def test_silence_is_told(pipe):
    with pytest.raises(Gone, match="silent"):
        Channel(*pipe, b"\n").receive(0.01)
