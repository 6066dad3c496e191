"""The grader's protocol: what is sent arrives as it was, and no bytes whatever do harm or raise anything unforeseen."""

import base64
import contextlib
import json
import math
import socket
import threading
import time

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cohort_grader.sandbox import pool
from cohort_grader.sandbox.pool import Limits, Worker
from exercise_checks.running import protocol
from exercise_checks.running.observing import Case, Failure, FailureKind, Observation, Opaque
from exercise_checks.running.protocol import Channel, Gone, TooLate, Unreadable, decode, encode

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**1000), 2**1000),
    st.floats(allow_nan=False),
    texts,
    st.builds(Opaque, texts),
    st.builds(Failure, st.sampled_from(FailureKind), texts, texts, texts),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(texts, st.integers(0, 9)), inner, max_size=4),
    ),
    max_leaves=20,
)


@given(values)
def test_what_is_sent_arrives(value):
    assert decode(encode(value)) == value


@pytest.mark.parametrize("dtype", protocol.DTYPES.values(), ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 3), (2, 1, 3, 4)], ids=str)
def test_tensors_arrive_bit_by_bit(dtype, shape):
    sent = torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    got = decode(encode(sent))
    assert got.dtype == dtype
    assert got.shape == sent.shape
    assert encode(got) == encode(sent)
    assert not got.requires_grad


@given(st.permutations(range(4)), st.integers(1, 3))
def test_memory_order_survives(order, step):
    sent = torch.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6).permute(order)[..., ::step]
    got = decode(encode(sent))
    assert torch.equal(got, sent)
    assert got.stride() == sent.clone().stride()
    assert got.is_contiguous() == sent.clone().is_contiguous()


def test_numbers_that_are_none_arrive():
    sent = torch.tensor([math.nan, math.inf, -math.inf, -0.0])
    assert encode(decode(encode(sent))) == encode(sent)
    assert math.isnan(decode(encode(math.nan)))


def test_what_was_received_can_be_written_to():
    decode(encode(torch.zeros(3))).add_(1)


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, b"bytes", 1j, lambda: 0, torch.float32], ids=lambda v: type(v).__name__
)
def test_what_is_not_plain_is_not_sent(value):
    with pytest.raises(TypeError, match="cannot be sent"):
        encode(value)


def test_tensors_that_have_no_bytes_become_opaque():
    assert decode(encode(torch.zeros(2, device="meta"))) == Opaque("Tensor of dtype float32 on meta")


# ---------------------------------------------------------------------------------------------------------
# Bytes from somebody who means harm
# ---------------------------------------------------------------------------------------------------------


def decode_or_refuse(data):
    """Whatever comes, it becomes a plain value or `Unreadable`, and nothing else happens."""
    try:
        value = decode(data)
    except Unreadable:
        return None
    assert_plain(value, 0)
    return value


def assert_plain(value, depth):
    assert depth <= protocol.DEEPEST + 1
    kinds = (bool, int, float, str, tuple, list, dict, torch.Tensor, Opaque, Failure)
    assert value is None or type(value) in kinds
    if isinstance(value, dict):
        value = value.values()
    if not isinstance(value, (torch.Tensor, str)) and hasattr(value, "__iter__"):
        for item in value:
            assert_plain(item, depth + 1)


@given(st.binary(max_size=200))
def test_any_bytes(data):
    decode_or_refuse(data)


TAGS = [b'"tuple"', b'"list"', b'"dict"', b'"tensor"', b'"opaque"', b'"failure"', b'"raised"', b'"float32"', b'"AAAA"']
TAGS.append(b'"observation"')
MARKS = [b"[", b"]", b",", b"{", b"}", b":", b"null", b"1", b"-1", b"1e999", b"NaN", b'"\\ud800"', b"\xff", b"\0"]


@given(st.lists(st.sampled_from([*TAGS, *MARKS])))
def test_bytes_that_look_like_values(parts):
    decode_or_refuse(b"".join(parts))


def as_json(inner):
    return st.lists(inner, max_size=6) | st.dictionaries(texts, inner, max_size=2)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
                    | st.sampled_from([json.loads(tag) for tag in TAGS]), as_json, max_leaves=20))  # fmt: skip
def test_any_json(found):
    decode_or_refuse(json.dumps([found]).encode())


@given(values, st.data())
def test_changed_bytes(value, data):
    good = bytearray(encode((value, torch.arange(6.0).reshape(2, 3))))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    decode_or_refuse(good)


@given(values, st.data())
def test_truncated_bytes_are_refused(value, data):
    good = encode((value, torch.arange(3)))
    with pytest.raises(Unreadable):
        decode(good[: data.draw(st.integers(0, len(good) - 1))])


@given(values, st.binary(min_size=1, max_size=9))
def test_bytes_after_the_value_are_refused(value, more):
    with pytest.raises(Unreadable):
        decode(encode(value) + more)


def tensor(shape, strides, data: bytes, name="float32") -> bytes:
    return json.dumps([["tensor", name, shape, strides, base64.b64encode(data).decode()]]).encode()


odd_sizes = st.lists(st.integers(-(2**70), 2**70) | st.integers(0, 9) | st.none() | st.booleans(), max_size=6)


@given(odd_sizes, odd_sizes, st.binary(max_size=64), st.sampled_from([*protocol.DTYPES, "float8", "", "T"]))
def test_tensors_with_impossible_sizes(shape, strides, data, name):
    decode_or_refuse(tensor(shape, strides, data, name))


@pytest.mark.parametrize("tag", ["tuple", "list"])
def test_nesting_without_end_is_refused(tag):
    with pytest.raises(Unreadable, match="nested"):
        decode(b"[" + f'["{tag}",'.encode() * 40_000 + b"1" + b"]" * 40_001)
    with pytest.raises(Unreadable, match="nested"):
        decode(b"[" + f'["{tag}",'.encode() * 18 + b"1" + b"]" * 19)


@pytest.mark.parametrize("part", ["[", "[" * 99_999, '["tuple"', '["tuple",', '"', '["tensor","float32",[9],[1],"'])
def test_what_is_begun_and_does_not_end_is_refused(part):
    with pytest.raises(Unreadable):
        decode(b"[" + part.encode())


def test_a_small_message_cannot_become_large():
    with pytest.raises(Unreadable, match="100000 values"):
        decode(b'[["tuple"' + b",1" * 1_000_000 + b"]]")
    with pytest.raises(Unreadable, match="100000 values"):
        decode(b"[" + b"[]," * 1_000_000 + b"[]]")


def test_a_tensor_that_repeats_one_number_is_refused():
    with pytest.raises(Unreadable, match="does not fit"):
        decode(tensor([10**6, 10**6], [0, 0], bytes(4)))


def test_strides_that_lead_out_of_a_tensor_are_refused():
    with pytest.raises(Unreadable, match="strides"):
        decode(tensor([2], [5], bytes(8)))


def test_a_bool_is_true_or_false():
    got = decode(tensor([3], [1], b"\x00\x01\xff", "bool"))
    assert encode(got) == encode(torch.tensor([False, True, True]))


@pytest.mark.parametrize("key", ["null", "true", '["tuple"]', "0.5"])
def test_keys_are_text_or_numbers(key):
    with pytest.raises(Unreadable, match="key"):
        decode(f'[["dict",{key},null]]'.encode())


def test_a_key_twice_is_refused():
    with pytest.raises(Unreadable, match="twice"):
        decode(b'[["dict","a",null,"a",null]]')
    with pytest.raises(Unreadable, match="type"):
        decode(b'[{"a":1,"a":2}]')


@pytest.mark.parametrize("text", [b"\xff", b"\\ud800", b"\xed\xa0\x80"])
def test_text_is_utf_8(text):
    with pytest.raises(Unreadable, match="UTF-8"):
        decode(b'["' + text + b'"]')


def test_an_integer_has_a_length_that_was_agreed():
    with pytest.raises(Unreadable):
        decode(b"[" + b"9" * 400 + b"]")
    with pytest.raises(Unreadable):
        decode(b"[" + b"9" * 100_000 + b"]")


# ---------------------------------------------------------------------------------------------------------
# Observations
# ---------------------------------------------------------------------------------------------------------


def test_an_observation_arrives():
    failed = Failure(FailureKind.RAISED, "b", "c", "A")
    seen = Observation(torch.ones(2), None, (0, "K"), {0: torch.zeros(2), "K": None}, failed, "printed")
    got = decode(encode(seen))
    assert torch.equal(got.value, seen.value)
    assert (got.failure, got.changed, got.gradient_failure, got.printed) == (None, (0, "K"), failed, "printed")
    assert got.gradients["K"] is None
    assert torch.equal(got.gradients[0], torch.zeros(2))


def as_observation(parts: tuple) -> bytes:
    """The bytes of an observation with these parts, whatever they are."""
    return encode(parts).replace(b"tuple", b"observation", 1)


WHOLE = (3, None, (), {}, None, "")


@given(st.tuples(values, values, values, values, values, values))
def test_any_parts_are_an_observation_or_refused(parts):
    with contextlib.suppress(Unreadable):
        assert type(decode(as_observation(parts))) is Observation


@pytest.mark.parametrize(
    ("place", "wrong"),
    [(1, 3), (1, "raised"), (2, []), (2, (None,)), (2, (True,)), (3, ()), (3, {"K": 1.0}), (4, {}), (5, None), (5, 7)],
)
def test_an_observation_has_parts_of_the_right_types(place, wrong):
    assert type(decode(as_observation(WHOLE))) is Observation
    with pytest.raises(Unreadable):
        decode(as_observation((*WHOLE[:place], wrong, *WHOLE[place + 1 :])))


@pytest.mark.parametrize("parts", [WHOLE[:5], (*WHOLE, "")])
def test_an_observation_has_six_parts(parts):
    with pytest.raises(Unreadable, match="six parts"):
        decode(as_observation(parts))


def test_an_observation_is_no_part_of_another_value():
    with pytest.raises(Unreadable, match="part of another value"):
        decode(encode((Observation(),)))
    with pytest.raises(Unreadable, match="part of another value"):
        decode(encode(Observation(Observation())))


# ---------------------------------------------------------------------------------------------------------
# Frames
# ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def ends():
    """A judge's channel, and the bare socket at its other end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours, most=1000), theirs


def soon():
    return time.monotonic() + 20


def frame(body=b"[1]", kind=1, token=7, length=None):
    return protocol.HEADER.pack(kind, token, len(body) if length is None else length) + body


def test_a_frame_arrives(ends):
    judge, other = ends
    Channel(other, most=1000).send(3, 2**64 - 1, ("value", 1))
    assert judge.receive(soon()) == (3, 2**64 - 1, ("value", 1))


def test_a_large_frame_arrives_in_parts():
    ours, theirs = socket.socketpair()
    sent = torch.arange(10.0**6)
    with ours, theirs:
        sender = threading.Thread(target=Channel(theirs, 1 << 31).send, args=(1, 1, sent))
        sender.start()
        assert torch.equal(Channel(ours, 1 << 31).receive(soon())[2], sent)
        sender.join()


@pytest.mark.parametrize(
    "data",
    [
        frame(length=1001),
        frame(length=2**32 - 1),
        frame(body=b""),
        frame(body=b"[1][1]"),
        frame(body=b"[1] "),
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\x80\x04\x95" + b"\0" * 30,
        bytes(100),
    ],
)
def test_what_is_no_frame_is_refused(ends, data):
    judge, other = ends
    other.sendall(data)
    with pytest.raises(Unreadable):
        judge.receive(soon())


@given(st.binary(min_size=13, max_size=200))
def test_any_bytes_as_a_frame(data):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises((Unreadable, Gone)):
            Channel(ours, most=1000).receive(soon())


@pytest.mark.parametrize("count", [0, 5, 12, 13, 15])
def test_a_frame_that_ends_too_early(ends, count):
    judge, other = ends
    other.sendall(frame(encode("a longer body"))[:count])
    other.close()
    with pytest.raises(Gone):
        judge.receive(soon())


@pytest.mark.parametrize("count", [0, 5, 15])
def test_a_frame_that_does_not_come_in_time(ends, count):
    judge, other = ends
    other.sendall(frame(encode("a longer body"))[:count])
    with pytest.raises(TooLate):
        judge.receive(time.monotonic() + 0.2)


def test_bytes_that_trickle_do_not_win_time(ends):
    judge, other = ends
    stop = threading.Event()

    def trickle():
        for byte in frame(bytes(500)):
            if stop.wait(0.05):
                return
            other.send(bytes([byte]))

    sender = threading.Thread(target=trickle)
    sender.start()
    began = time.monotonic()
    with pytest.raises(TooLate):
        judge.receive(time.monotonic() + 0.5)
    assert time.monotonic() - began < 10
    stop.set()
    sender.join()


def test_a_reader_that_does_not_read_is_left(ends):
    judge, _ = ends
    with pytest.raises(TooLate):
        judge.send(1, 1, torch.zeros(10**7), time.monotonic() + 0.3)


def test_a_reader_that_is_gone(ends):
    judge, other = ends
    other.close()
    with pytest.raises(Gone):
        judge.send(1, 1, torch.zeros(10**6), soon())


# ---------------------------------------------------------------------------------------------------------
# A worker that follows a script instead of the rules
# ---------------------------------------------------------------------------------------------------------


def honest(kind, token, number, sent) -> list[bytes]:
    return [frame(encode(Observation(number, printed="the secret input")), kind, token)]


# What may come instead of the answer to case `number`; `sent` are the frames of the cases before. None closes.
LIES = {
    "truncated": lambda kind, token, number, sent: [honest(kind, token, number, sent)[0][:-3], None],
    "oversized": lambda kind, token, number, sent: [frame(b"", kind, token, 2**32 - 1)],
    "nested": lambda kind, token, number, sent: [frame(b'["tuple",' * 200, kind, token)],
    "no_observation": lambda kind, token, number, sent: [frame(b"[true]", kind, token)],
    "an_earlier_one": lambda kind, token, number, sent: sent[-1:] or [b"nothing was sent before"],
    "swapped": lambda kind, token, number, sent: honest(kind, token ^ 1, number + 1, sent),
    "another_kind": lambda kind, token, number, sent: honest(kind + 1, token, number, sent),
    "silence": lambda kind, token, number, sent: [],
    "gone": lambda kind, token, number, sent: [None],
}
SPEAKS = {
    "honest": honest,
    "twice": lambda *request: honest(*request) * 2,  # right now, and a lie to the next question
    "byte_by_byte": lambda *request: [bytes([byte]) for byte in honest(*request)[0]],
} | LIES


class Scripted:
    """A process, as a `Worker` sees one, whose replies are scripted."""

    def __init__(self, script):
        self.script, self.ours = script, None

    def start(self):
        self.ours, theirs = socket.socketpair()
        thread = threading.Thread(target=self.live, args=(theirs,), daemon=True)
        thread.start()
        return self, Channel(self.ours, most=10_000)

    def live(self, connection):
        with connection, contextlib.suppress(OSError, Gone):
            channel, sent = Channel(connection, most=1 << 20), []
            channel.send(0, 0, "")
            for number, way in enumerate(self.script):
                kind, token, _ = channel.receive()
                for part in SPEAKS[way](kind, token, number, sent):
                    if part is None:
                        return
                    connection.sendall(part)
                sent += honest(kind, token, number, sent)
            channel.receive()

    def kill(self):
        return 0

    def wait(self):
        return 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(SPEAKS)), min_size=1, max_size=4))
@example(["twice", "honest"])
@example(["honest", "an_earlier_one"])
@example(["silence", "honest"])
def test_only_the_answer_to_its_own_question_counts(script):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "GRACE", 0.05)
        with Worker(Scripted(script).start, Limits(), (), "liar") as worker:
            seen = worker.observe("f", "call", [Case(str(n)) for n in range(len(script))], seconds=0.1)
    trusted = 0  # cases until the first lie; after "twice" the next answer is one
    while trusted < len(script) and script[trusted] not in LIES and "twice" not in script[:trusted]:
        trusted += 1
    values = [observation.value for observation in seen if not observation.failure]
    assert values == list(range(len(values)))  # each to its own question, and none after a lie
    assert len(values) <= trusted
    ends = [observation.failure.kind for observation in seen[len(values) :]]
    assert ends in ([], [FailureKind.ENDED], [FailureKind.TIME_UP])


def test_honest_answers_count_however_they_arrive():
    script = ["honest", "byte_by_byte", "honest"]
    with Worker(Scripted(script).start, Limits(), (), "honest") as worker:
        seen = worker.observe("f", "call", [Case(str(n)) for n in range(3)], seconds=20)
    assert [observation.value for observation in seen] == [0, 1, 2]
    assert {observation.printed for observation in seen} == {""}  # it could tell a learner the secret inputs
