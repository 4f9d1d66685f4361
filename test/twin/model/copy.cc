// Copies between device memory and the unified buffer, flags and barriers.
#include <cstring>
#include <string>

#include "core.h"
#include "intrinsics.h"

namespace latte::model {
namespace {

constexpr size_t kBlock = 32;
// The largest values of a copy's fields.
constexpr uint32_t kMostBursts = 4095;
constexpr uint32_t kMostBytes = 2097151;

void check(bool condition, const char* name, const char* what) {
  if (!condition) throw Fault(std::string(name) + ": " + what);
}

void check_fields(const char* name, const void* global, size_t item, uint32_t bursts,
                  uint32_t length, uint8_t left, uint8_t right) {
  check(bursts >= 1 && bursts <= kMostBursts, name, "the number of bursts is not 1 to 4095");
  check(length >= 1 && length <= kMostBytes, name, "a burst is not 1 to 2097151 bytes");
  check(length % item == 0, name, "a burst is no whole number of elements");
  check(reinterpret_cast<uintptr_t>(global) % item == 0, name,
        "an address in device memory is not aligned to its elements");
  check((left + right) * item <= kBlock, name, "more than a block of padding");
}

/// Copies bursts, each of which begins on a block. Without padding the rest of its last block is
/// unspecified: NaN here.
void copy_in(const char* name, size_t item, void* to, void* from, uint32_t bursts, uint32_t length,
             uint8_t left, uint8_t right, uint32_t from_gap, uint32_t to_gap) {
  Core& c = core();
  check_fields(name, from, item, bursts, length, left, right);
  const size_t begin = c.locate(Space::kUB, to, kBlock, name);
  const size_t padded = (length + (left + right) * item + kBlock - 1) / kBlock * kBlock;
  const size_t stride = padded + to_gap * kBlock;
  const size_t from_stride = size_t{length} + from_gap;
  const uint8_t* source = c.global(from, from_stride * (bursts - 1) + length, name);
  c.move(from, length, bursts, from_stride, false);
  std::vector<Access> accesses;
  for (uint32_t i = 0; i < bursts; ++i) {
    accesses.push_back({Space::kUB, begin + i * stride, begin + i * stride + padded, true});
  }
  const uint64_t pad = c.pad_value;
  c.issue(kMte2, name, accesses, [=, &c] {
    for (uint32_t i = 0; i < bursts; ++i) {
      uint8_t* line = c.at(Space::kUB, begin + i * stride);
      for (size_t b = 0; b < padded; b += 2) {
        const uint16_t nan = 0x7fc1;
        std::memcpy(line + b, &nan, 2);
      }
      for (size_t k = 0; k < left; ++k) std::memcpy(line + k * item, &pad, item);
      std::memcpy(line + left * item, source + i * from_stride, length);
      for (size_t k = 0; k < right; ++k) {
        std::memcpy(line + left * item + length + k * item, &pad, item);
      }
    }
  });
}

void copy_out(const char* name, size_t item, void* to, void* from, uint32_t bursts, uint32_t length,
              uint8_t left, uint8_t right, uint32_t from_gap, uint32_t to_gap) {
  Core& c = core();
  check_fields(name, to, item, bursts, length, left, right);
  const size_t begin = c.locate(Space::kUB, from, kBlock, name);
  const size_t stride = (length + kBlock - 1) / kBlock * kBlock + from_gap * kBlock;
  const size_t to_stride = size_t{length} + to_gap;
  uint8_t* target = c.global(to, to_stride * (bursts - 1) + length, name);
  c.move(to, length, bursts, to_stride, true);
  std::vector<Access> accesses;
  for (uint32_t i = 0; i < bursts; ++i) {
    accesses.push_back({Space::kUB, begin + i * stride, begin + i * stride + length, false});
  }
  c.issue(kMte3, name, accesses, [=, &c] {
    for (uint32_t i = 0; i < bursts; ++i) {
      std::memcpy(target + i * to_stride, c.at(Space::kUB, begin + i * stride), length);
    }
  });
}

Pipe pipe_of(pipe_t pipe) { return static_cast<Pipe>(pipe); }

}  // namespace
}  // namespace latte::model

using latte::model::core;

void set_flag(pipe_t from, pipe_t to, event_t event) {
  core().set_flag(latte::model::pipe_of(from), latte::model::pipe_of(to), static_cast<int>(event));
}
void wait_flag(pipe_t from, pipe_t to, event_t event) {
  core().wait_flag(latte::model::pipe_of(from), latte::model::pipe_of(to), static_cast<int>(event));
}
void pipe_barrier(pipe_t pipe) { core().barrier(latte::model::pipe_of(pipe)); }
void set_mov_pad_val(uint64_t value) { core().pad_value = value; }

#define LATTE_MODEL_COPY(name, direction, item)                                                    \
  void name(void* to, void* from, uint8_t, uint16_t bursts, uint32_t length, uint8_t left,         \
            uint8_t right, uint32_t from_gap, uint32_t to_gap) {                                   \
    latte::model::direction(#name, item, to, from, bursts, length, left, right, from_gap, to_gap); \
  }
LATTE_MODEL_COPY(copy_gm_to_ubuf_align_b16, copy_in, 2)
LATTE_MODEL_COPY(copy_gm_to_ubuf_align_b32, copy_in, 4)
LATTE_MODEL_COPY(copy_ubuf_to_gm_align_b16, copy_out, 2)
LATTE_MODEL_COPY(copy_ubuf_to_gm_align_b32, copy_out, 4)
