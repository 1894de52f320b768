"""Storage formats that can be read back: plain encoders and decoders, written from docs/storage_formats.md.

They share nothing with swatsim. A piece is a list of rows of values; an encoding is text of zeros and ones, padded with
zeros to whole bytes. A decoder gets only the encoding, the shape and the width of a value.
"""

from __future__ import annotations

import re


def number(value, width):
    """`value` in `width` bits, the highest first."""
    assert 0 <= value < 2**width, (value, width)
    return "".join(str(value // 2**bit % 2) for bit in reversed(range(width)))


def width_for(different):
    """Bits that tell so many different things apart."""
    width = 0
    while 2**width < different:
        width += 1
    return width


def whole_bytes(bits):
    while len(bits) % 8:
        bits += "0"
    return bits


class Reader:
    """Takes numbers from the front of an encoding."""

    def __init__(self, bits):
        self.bits = bits
        self.at = 0

    def take(self, width):
        taken = self.bits[self.at : self.at + width]
        assert len(taken) == width, "the encoding ends too soon"
        self.at += width
        return sum(2**place for place, bit in enumerate(reversed(taken)) if bit == "1")

    def finish(self):
        """Only padding may be left."""
        rest = self.bits[self.at :]
        assert len(rest) < 8 and "1" not in rest, f"left over: {rest}"


def flat(piece):
    return [value for row in piece for value in row]


def in_rows(values, rows, columns):
    return [values[row * columns : (row + 1) * columns] for row in range(rows)]


def flipped(piece, rows, columns):
    return [[piece[row][column] for row in range(rows)] for column in range(columns)]


# ---------------------------------------------------------------------------------------------------- dense and bitmap


def encode_dense(piece, rows, columns, value_width):
    return "".join(number(value, value_width) for value in flat(piece))


def decode_dense(reader, rows, columns, value_width):
    return [[reader.take(value_width) for _ in range(columns)] for _ in range(rows)]


def encode_bitmap(piece, rows, columns, value_width):
    mask = "".join("1" if value else "0" for value in flat(piece))
    return mask + "".join(number(value, value_width) for value in flat(piece) if value)


def decode_bitmap(reader, rows, columns, value_width):
    mask = [reader.take(1) for _ in range(rows * columns)]
    return in_rows([reader.take(value_width) if bit else 0 for bit in mask], rows, columns)


# ------------------------------------------------------------------------------------------------ compressed lines


def encode_csr(piece, rows, columns, value_width):
    pointers, entries = [0], []
    for row in piece:
        entries += [(column, value) for column, value in enumerate(row) if value]
        pointers.append(len(entries))
    bits = "".join(number(pointer, width_for(rows * columns + 1)) for pointer in pointers)
    for column, value in entries:
        bits += number(column, width_for(columns)) + number(value, value_width)
    return bits


def decode_csr(reader, rows, columns, value_width):
    pointers = [reader.take(width_for(rows * columns + 1)) for _ in range(rows + 1)]
    assert pointers[0] == 0
    piece = [[0] * columns for _ in range(rows)]
    for row in range(rows):
        for _ in range(pointers[row], pointers[row + 1]):
            column = reader.take(width_for(columns))
            piece[row][column] = reader.take(value_width)
    return piece


def encode_csc(piece, rows, columns, value_width):
    return encode_csr(flipped(piece, rows, columns), columns, rows, value_width)


def decode_csc(reader, rows, columns, value_width):
    return flipped(decode_csr(reader, columns, rows, value_width), columns, rows)


# ------------------------------------------------------------------------------------------------------ run length


def run_length_entries(values):
    """(zeros before it, value) of each entry: a count that overflows is written with a zero for its value."""
    entries, zeros = [], 0
    pending = []
    for value in values:
        if value:
            entries += [*pending, (zeros, value)]
            pending, zeros = [], 0
        elif zeros == 15:
            pending.append((15, 0))
            zeros = 0
        else:
            zeros += 1
    return entries


def encode_run_length(piece, rows, columns, value_width):
    entries = run_length_entries(flat(piece))
    bits = number(len(entries), width_for(rows * columns + 1))
    return bits + "".join(number(zeros, 4) + number(value, value_width) for zeros, value in entries)


def decode_run_length(reader, rows, columns, value_width):
    values = []
    for _ in range(reader.take(width_for(rows * columns + 1))):
        zeros = reader.take(4)
        values += [0] * zeros + [reader.take(value_width)]
    return in_rows(values + [0] * (rows * columns - len(values)), rows, columns)


def fillers(values):
    """Placeholder entries of a piece, from the text of its zeros."""
    text = "".join("1" if value else "0" for value in values)
    return len(re.findall("0{16}(?=0*1)", text))


# ---------------------------------------------------------------------------------------------------------- bricks


def encode_zfnaf(piece, rows, columns, value_width):
    bits = ""
    for row in piece:
        for first in range(0, columns, 16):
            packed = [(offset, value) for offset, value in enumerate(row[first : first + 16]) if value]
            for offset, value in packed + [(0, 0)] * (16 - len(packed)):
                bits += number(value, value_width) + number(offset, 4)
    return bits


def decode_zfnaf(reader, rows, columns, value_width):
    piece = [[0] * columns for _ in range(rows)]
    for row in range(rows):
        for first in range(0, columns, 16):
            for _ in range(16):
                value, offset = reader.take(value_width), reader.take(4)
                if value:
                    piece[row][first + offset] = value
    return piece


CODECS = {
    "dense": (encode_dense, decode_dense),
    "bitmap": (encode_bitmap, decode_bitmap),
    "csr": (encode_csr, decode_csr),
    "csc": (encode_csc, decode_csc),
    "run_length": (encode_run_length, decode_run_length),
    "zfnaf": (encode_zfnaf, decode_zfnaf),
}


def encode(name, piece, rows, columns, value_bytes):
    """A piece as whole bytes of bits."""
    return whole_bytes(CODECS[name][0](piece, rows, columns, 8 * value_bytes))


def decode(name, bits, rows, columns, value_bytes):
    """The piece that was encoded; raises AssertionError if the encoding is too short or too long."""
    reader = Reader(bits)
    piece = CODECS[name][1](reader, rows, columns, 8 * value_bytes)
    reader.finish()
    return piece
