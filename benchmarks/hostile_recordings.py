"""Make small recordings that declare, or expand to, far more than they hold, for `hostile_files.py`."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import soundfile

NUMBERS = (0, 0x7FFF_FFFF, 0xFFFF_FFFF)
LONG_S = 2 * 3600


def files(folder: Path) -> Iterator[tuple[str, str, bytes, float]]:
    """Yield each recording's kind, name, content, and its duration if it truly lasts long, seconds."""
    for name, payload in _headers():
        yield "audio headers", name, payload, 0.0
    for name, payload, seconds in _expanding(folder):
        yield "audio that expands", name, payload, seconds
    for name, payload in _containers():
        yield "audio containers", name, payload, 0.0


def _wav(size: int = 3200, *, channels: int = 1, rate: int = 16_000, bits: int = 16, data: int = 3200) -> bytes:
    align = channels * bits // 8 & 0xFFFF
    head = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * align & 0xFFFF_FFFF, align, bits)
    body = b"WAVEfmt " + head + b"data" + struct.pack("<I", size) + bytes(data)
    return b"RIFF" + struct.pack("<I", min(size + 36, 0xFFFF_FFFF)) + body


def _headers() -> Iterator[tuple[str, bytes]]:
    for n in NUMBERS:
        yield f"size-{n:x}.wav", _wav(n)
        yield f"rate-{n:x}.wav", _wav(rate=n)
        yield f"chunk-{n:x}.wav", _wav().replace(b"data", b"LIST" + struct.pack("<I", n) + b"data", 1)
        yield f"size-{n:x}.au", struct.pack(">4s5I", b".snd", 24, n, 3, 16_000, 1) + bytes(3200)
        common = b"COMM" + struct.pack(">IhIh", 18, 1, n, 16) + b"\x40\x0c\xfa" + bytes(7)
        yield f"frames-{n:x}.aiff", b"FORM" + struct.pack(">I", n) + b"AIFF" + common
    yield "channels-65535.wav", _wav(channels=65_535, data=1_000_000)
    yield "bits-65535.wav", _wav(bits=65_535)
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, 1 << 62, 1 << 62, 1 << 62, 0)
    yield "ds64.wav", _wav(0xFFFF_FFFF).replace(b"RIFF", b"RF64", 1).replace(b"WAVE", b"WAVE" + ds64, 1)
    for size in (1 << 62, (1 << 64) - 1):
        description = b"desc" + struct.pack(">qd4s5I", 32, 16_000.0, b"lpcm", 0, 2, 1, 1, 16)
        yield f"size-{size:x}.caf", b"caff\0\1\0\0" + description + b"data" + struct.pack(">QI", size, 0) + bytes(3200)
        riff, wave = bytes.fromhex("2e91cf11a5d628db04c10000"), bytes.fromhex("f3acd3118cd100c04f8edb8a")
        form = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
        w64 = b"riff" + riff + struct.pack("<Q", size) + b"wave" + wave + b"fmt " + wave + struct.pack("<Q", 40) + form
        yield f"size-{size:x}.w64", w64 + b"data" + wave + struct.pack("<Q", size) + bytes(3200)
    yield "tag.mp3", b"ID3\4\0\0\x7f\x7f\x7f\x7fAPIC\x7f\x7f\x7f\x7f\0\0" + bytes(3200)  # 256 MiB of tags


def _expanding(folder: Path) -> Iterator[tuple[str, bytes, float]]:
    for name, seconds in (("hours.flac", LONG_S), ("hours.ogg", LONG_S // 4), ("hours.mp3", LONG_S // 4)):
        with soundfile.SoundFile(folder / name, "w", 8000, 1) as file:
            for _ in range(seconds // 60):
                file.write(np.zeros(8000 * 60, np.float32))
        yield name, (folder / name).read_bytes(), seconds
    declared = bytearray((folder / "hours.flac").read_bytes()[:20_000])
    declared[21:26] = bytes([declared[21] & 0xF0 | 0x0F]) + b"\xff" * 4  # 2^36 - 1 samples
    yield "declared.flac", bytes(declared), 0.0
    yield "blocks.flac", _flac_of_constants(2000), 2000 * 65_535 / 48_000
    yield "slow.wav", _wav(2_000_000, rate=1, data=2_000_000), 0.0  # 11 days


def _flac_of_constants(n_frames: int) -> bytes:
    """Return frames of 8 channels with 65,535 equal samples each: 40 bytes that decode to a megabyte."""
    stream = (48_000 << 44 | 7 << 41 | 15 << 36 | n_frames * 65_535).to_bytes(8, "big")
    out = b"fLaC\x80\0\0\x22" + b"\xff\xff" * 2 + bytes(6) + stream + bytes(16)
    for number in range(n_frames):
        head = b"\xff\xf8\x7a\x78" + chr(number).encode() + b"\xff\xfe"
        frame = head + _crc(head, 0x07, 8).to_bytes(1, "big") + bytes(8 * 3)
        out += frame + _crc(frame, 0x8005, 16).to_bytes(2, "big")
    return out


def _crc(payload: bytes, polynomial: int, n_bits: int) -> int:
    value, top, mask = 0, 1 << (n_bits - 1), (1 << n_bits) - 1
    for byte in payload:
        value ^= byte << (n_bits - 8)
        for _ in range(8):
            value = (value << 1 ^ polynomial if value & top else value << 1) & mask
    return value


def _containers() -> Iterator[tuple[str, bytes]]:
    marks = {
        "m4a": (b"mvhd", b"mdhd", b"stts", b"stsz", b"stco", b"stsc"), "webm": (b"D\x89\x88", b"OpusHead", b"\xa3"),
        "opus": (b"OggS", b"OpusHead", b"OpusTags"), "aac": (b"\xff\xf1",),
    }  # fmt: skip
    kinds = {"m4a": ("mp4", "aac"), "webm": ("webm", "libopus"), "opus": ("ogg", "libopus"), "aac": ("adts", "aac")}
    for suffix, (container, codec) in kinds.items():
        buffer = io.BytesIO()
        with av.open(buffer, "w", format=container) as out:
            stream = out.add_stream(codec, rate=48_000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 96_000), np.float32), "flt", "mono")
            frame.sample_rate = 48_000
            resampler = av.AudioResampler(stream.format, stream.layout, stream.rate, stream.frame_size)
            for ready in (*resampler.resample(frame), *resampler.resample(None)):
                out.mux(stream.encode(ready))
            out.mux(stream.encode())
        whole = buffer.getvalue()
        for mark in marks[suffix]:
            at = whole.index(mark) + len(mark) + 4
            name = mark.decode() if mark.isalnum() else mark.hex()
            yield f"{name}.{suffix}", whole[:at] + b"\x7f\xff\xff\xff" * 3 + whole[at + 12 :]
