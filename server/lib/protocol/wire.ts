import { invalid } from './errors.js';

// A decoded protobuf message can take a hundred times the memory of its bytes: an empty field of two bytes
// becomes an object. So the fields of a request are counted before it is decoded.

/** The number of the field raw_input_contents. It is decoded without a copy, so only it may be long. */
const rawContents = 7;

/** The most fields of a request, raw contents included. */
const maxFields = 256;

/** The most bytes of all other fields. A decoded int64 can take fifty times the memory of its byte. */
const maxOtherBytes = 4 * 1024 * 1024;

const varint = 0;
const fixed64 = 1;
const lengthDelimited = 2;
const fixed32 = 5;

/**
 * Checks that a decoded ModelInferRequest will take little more memory than its bytes.
 * @throws ProtocolError 'invalid'.
 */
export function checkWireSize(message: Uint8Array): void {
  let position = 0;
  let fields = 0;
  let otherBytes = 0;
  while (position < message.length) {
    const start = position;
    const tag = readVarint(message, position);
    const length = fieldLength(message, tag.next, tag.value % 8);
    position = tag.next + length;
    if (position > message.length) throw invalid('the message ends within a field');
    if (++fields > maxFields) throw invalid(`the message has more than ${maxFields} fields`);
    if (Math.floor(tag.value / 8) !== rawContents) otherBytes += position - start;
    if (otherBytes > maxOtherBytes) {
      throw invalid(
        `the message has more than ${maxOtherBytes} bytes beside raw contents: send tensors in raw_input_contents`,
      );
    }
  }
}

/** The length in bytes of a field's value, which begins at `position`. */
function fieldLength(message: Uint8Array, position: number, wireType: number): number {
  switch (wireType) {
    case varint:
      return readVarint(message, position).next - position;
    case fixed64:
      return 8;
    case fixed32:
      return 4;
    case lengthDelimited: {
      const { value, next } = readVarint(message, position);
      return next - position + value;
    }
    default:
      throw invalid('the message is no protobuf message');
  }
}

function readVarint(message: Uint8Array, start: number): { value: number; next: number } {
  let value = 0;
  for (let i = 0; i < 10; i++) {
    const byte = message[start + i];
    if (byte === undefined) throw invalid('the message ends within a field');
    // A number above 2^53 is not exact here, but as a length it exceeds the message anyway.
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, next: start + i + 1 };
  }
  throw invalid('the message is no protobuf message');
}
