// What moves through a cube core: device memory -> L1 -> L0A, L0B and the bias table; L0C -> device
// memory. Ranges of fields and alignments as CANN's Ascend C documents them for the Atlas A2
// (DataCopy, LoadData, LoadDataWithTranspose, Fixpipe; NPU architecture 2201).
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "core.h"
#include "cube_intrinsics.h"
#include "numbers.h"

namespace latte::model {
namespace {

constexpr size_t kBlock = 32;
constexpr size_t kFractal = 512;
constexpr size_t kRows = 16;  // rows of a fractal

void check(bool condition, const char* name, const char* what) {
  if (!condition) throw Fault(std::string(name) + ": " + what);
}

void copy_blocks(const char* name, Space to_space, size_t alignment, size_t unit, size_t begin,
                 Pipe pipe, const uint8_t* global, size_t from, uint32_t bursts, uint32_t length,
                 uint32_t from_gap, uint32_t to_gap) {
  Core& c = core();
  check(bursts >= 1 && bursts <= 4095, name, "the number of bursts is not 1 to 4095");
  check(length >= 1, name, "a burst of nothing");
  check(begin % alignment == 0, name, "the target is not aligned");
  const size_t bytes = length * unit, to_stride = (length + to_gap) * unit;
  const size_t from_stride = bytes + from_gap * kBlock;
  std::vector<Access> accesses;
  for (uint32_t i = 0; i < bursts; ++i) {
    accesses.push_back({to_space, begin + i * to_stride, begin + i * to_stride + bytes, true});
    if (global == nullptr) {
      accesses.push_back(
          {Space::kL1, from + i * from_stride, from + i * from_stride + bytes, false});
    }
  }
  c.issue(pipe, name, accesses, [=, &c] {
    for (uint32_t i = 0; i < bursts; ++i) {
      const uint8_t* source = global != nullptr ? global : c.at(Space::kL1, from);
      std::memcpy(c.at(to_space, begin + i * to_stride), source + i * from_stride, bytes);
    }
  });
}

struct Rows {
  uint32_t matrices, rows, elements, matrix_stride, row_stride;
  uint32_t to_block_stride, to_row_stride, to_matrix_stride;
};

/// Copies rows of elements to columns of blocks. Zeros fill up the last block of a row.
void copy_rows(const char* name, size_t item, void* to, void* from, const Rows& r) {
  Core& c = core();
  check(r.matrices >= 1 && r.matrices <= 4095, name, "the number of matrices is not 1 to 4095");
  check(r.rows >= 1 && r.rows <= 16384, name, "the number of rows is not 1 to 16384");
  check(r.elements >= 1, name, "rows of nothing");
  check(r.row_stride >= 1, name, "a row stride of 0");
  check(r.to_block_stride >= 1 && r.to_block_stride <= 16384, name,
        "the stride between blocks is not 1 to 16384");
  check(r.to_row_stride >= 1 && r.to_row_stride <= 16384, name,
        "the stride between rows is not 1 to 16384");
  check(r.to_matrix_stride <= 16384, name, "the stride between matrices exceeds 16384");
  const size_t begin = c.locate(Space::kL1, to, kBlock, name);
  const size_t matrix_bytes = r.to_matrix_stride * item;
  check(matrix_bytes % kBlock == 0, name, "the stride between matrices is no whole block");
  const size_t in_block = kBlock / item;
  struct Piece {
    const uint8_t* from;
    size_t to, bytes;
  };
  std::vector<Piece> pieces;
  std::vector<Access> accesses;
  for (uint32_t m = 0; m < r.matrices; ++m) {
    c.move(static_cast<const uint8_t*>(from) + size_t{m} * r.matrix_stride * item,
           r.elements * item, r.rows, size_t{r.row_stride} * item, false);
    for (uint32_t n = 0; n < r.rows; ++n) {
      const size_t offset = (size_t{m} * r.matrix_stride + size_t{n} * r.row_stride) * item;
      const uint8_t* row =
          c.global(static_cast<const uint8_t*>(from) + offset, r.elements * item, name);
      for (size_t e = 0; e < r.elements; e += in_block) {
        const size_t target = begin + m * matrix_bytes + size_t{n} * r.to_row_stride * kBlock +
                              e / in_block * r.to_block_stride * kBlock;
        pieces.push_back({row + e * item, target, std::min(in_block, r.elements - e) * item});
        accesses.push_back({Space::kL1, target, target + kBlock, true});
      }
    }
  }
  std::vector<size_t> targets;
  targets.reserve(pieces.size());
  for (const Piece& piece : pieces) targets.push_back(piece.to);
  std::sort(targets.begin(), targets.end());
  check(std::adjacent_find(targets.begin(), targets.end()) == targets.end(), name,
        "two rows go to the same block");
  c.issue(kMte2, name, accesses, [=, &c] {
    for (const Piece& piece : pieces) {
      uint8_t* block = c.at(Space::kL1, piece.to);
      std::memset(block, 0, kBlock);
      std::memcpy(block, piece.from, piece.bytes);
    }
  });
}

/// Where the n-th fractal of a load goes. Two fractals must not go to one place.
using Fractals = std::vector<std::pair<size_t, size_t>>;  // from, to

void issue_load(const char* name, Space to_space, const Fractals& fractals, size_t from_bytes,
                const std::function<void(uint8_t* to, const uint8_t* from)>& move,
                size_t to_bytes) {
  Core& c = core();
  std::vector<Access> accesses;
  for (const auto& [from, to] : fractals) {
    accesses.push_back({Space::kL1, from, from + from_bytes, false});
    accesses.push_back({to_space, to, to + to_bytes, true});
  }
  c.issue(kMte1, name, accesses, [=, &c] {
    for (const auto& [from, to] : fractals) move(c.at(to_space, to), c.at(Space::kL1, from));
  });
}

void load(const char* name, Space space, void* to, void* from, uint32_t first, uint32_t repeat,
          uint32_t from_stride, uint32_t to_gap, bool transpose, addr_cal_mode_t mode) {
  Core& c = core();
  check(repeat >= 1, name, "no repeat");
  check(!transpose && mode == inc, name, "only straight loads upwards are modelled");
  const size_t source = c.locate(Space::kL1, from, kBlock, name) + first * kFractal;
  const size_t target = c.locate(space, to, kFractal, name);
  Fractals fractals;
  for (uint32_t i = 0; i < repeat; ++i) {
    fractals.emplace_back(source + size_t{i} * from_stride * kFractal,
                          target + size_t{i} * (to_gap + 1) * kFractal);
  }
  issue_load(
      name, space, fractals, kFractal,
      [](uint8_t* out, const uint8_t* in) { std::memcpy(out, in, kFractal); }, kFractal);
}

/// A fractal of 16-bit items is square. Of 32-bit items two fractals side by side are, and become
/// two again.
void load_transposed(const char* name, size_t item, void* to, void* from, uint32_t first,
                     uint32_t repeat, uint32_t from_stride, uint32_t to_gap, bool decrement,
                     uint32_t to_fractal_gap) {
  Core& c = core();
  check(repeat >= 1, name, "no repeat");
  check(!decrement, name, "only loads upwards are modelled");
  const size_t parts = item / 2, columns = kBlock / item, square = parts * kFractal;
  const size_t source = c.locate(Space::kL1, from, kBlock, name) + first * square;
  const size_t target = c.locate(Space::kL0A, to, kFractal, name);
  check(parts == 1 || to_fractal_gap == 0, name, "a gap between fractals is not modelled");
  Fractals squares;
  for (uint32_t i = 0; i < repeat; ++i) {
    squares.emplace_back(source + size_t{i} * from_stride * square,
                         target + size_t{i} * (to_gap + 1) * kFractal);
  }
  issue_load(
      name, Space::kL0A, squares, square,
      [=](uint8_t* out, const uint8_t* in) {
        for (size_t row = 0; row < kRows; ++row) {
          for (size_t column = 0; column < kRows; ++column) {
            const auto at = [&](size_t r, size_t k) {
              return k / columns * kFractal + r * kBlock + k % columns * item;
            };
            std::memcpy(out + at(column, row), in + at(row, column), item);
          }
        }
      },
      square);
}

/// Rounds as FIXPIPE does: to nearest even; too large a value becomes the largest number, NaN
/// becomes 0.
uint16_t rounded(float value, QuantMode_t mode) {
  if (std::isnan(value)) return 0;
  const bool half = mode == F322F16;
  const uint16_t bits =
      half ? to_half(value, Round::kNearestEven) : to_bfloat(value, Round::kNearestEven);
  const uint16_t infinity = half ? 0x7c00 : 0x7f80;
  return (bits & 0x7fff) == infinity ? static_cast<uint16_t>(bits - 1) : bits;
}

void store(const char* name, QuantMode_t type, void* to, void* from, uint32_t columns,
           uint32_t rows, uint32_t to_stride, uint32_t from_stride, uint8_t unit_flag,
           QuantMode_t mode, uint8_t relu, bool split, bool row_major) {
  Core& c = core();
  check(unit_flag == 0 && relu == 0 && !split && row_major, name,
        "only rows without unit flag, ReLU and split channels are modelled");
  check(mode == type, name, "the rounding is not the one of the type");
  check(columns >= 1 && columns <= 4095, name, "the number of columns is not 1 to 4095");
  check(rows >= 1 && rows <= 8192, name, "the number of rows is not 1 to 8192");
  check(to_stride >= columns, name, "rows overlap in device memory");
  check((c.nd_parameters & 0xffff) == 1, name, "only one matrix is modelled");
  constexpr size_t kRow = kRows * sizeof(float);
  const size_t begin = c.locate(Space::kL0C, from, kRow, name);
  const size_t item = mode == NoQuant ? sizeof(float) : sizeof(uint16_t);
  check(reinterpret_cast<uintptr_t>(to) % item == 0, name,
        "the target is not aligned to its items");
  uint8_t* target = c.global(to, (size_t{rows - 1} * to_stride + columns) * item, name);
  c.move(to, columns * item, rows, to_stride * item, true);
  std::vector<Access> accesses;
  const uint32_t blocks = (columns + 15) / 16;
  for (uint32_t b = 0; b < blocks; ++b) {
    const size_t at = begin + size_t{b} * from_stride * kRow;
    accesses.push_back({Space::kL0C, at, at + rows * kRow, false});
  }
  c.issue(kFix, name, accesses, [=, &c] {
    for (uint32_t m = 0; m < rows; ++m) {
      for (uint32_t n = 0; n < columns; ++n) {
        float value = 0;
        const size_t at =
            begin + (size_t{n / 16} * from_stride + m) * kRow + n % 16 * sizeof(float);
        std::memcpy(&value, c.at(Space::kL0C, at), sizeof(value));
        const uint16_t bits = mode == NoQuant ? uint16_t{0} : rounded(value, mode);
        const void* result = mode == NoQuant ? static_cast<const void*>(&value) : &bits;
        std::memcpy(target + (size_t{m} * to_stride + n) * item, result, item);
      }
    }
  });
}

}  // namespace
}  // namespace latte::model

using latte::model::core;
using latte::model::Space;

void copy_gm_to_cbuf(void* to, void* from, uint8_t, uint16_t bursts, uint16_t length,
                     uint16_t from_gap, uint16_t to_gap, pad_t) {
  constexpr const char* name = "copy_gm_to_cbuf";
  const size_t begin = core().locate(Space::kL1, to, latte::model::kBlock, name);
  const size_t stride = (size_t{length} + from_gap) * latte::model::kBlock;
  const size_t bytes = (bursts == 0 ? 0 : (bursts - 1) * stride) + length * latte::model::kBlock;
  core().move(from, length * latte::model::kBlock, bursts, stride, false);
  latte::model::copy_blocks(name, Space::kL1, latte::model::kBlock, latte::model::kBlock, begin,
                            latte::model::kMte2, core().global(from, bytes, name), 0, bursts,
                            length, from_gap, to_gap);
}

#define LATTE_MODEL_ROWS(name, T)                                                                  \
  void name(T* to, T* from, uint8_t, uint16_t matrices, uint16_t rows, uint16_t elements,          \
            uint16_t matrix_stride, uint16_t row_stride, uint16_t to_block_stride,                 \
            uint16_t to_row_stride, uint16_t to_matrix_stride) {                                   \
    constexpr size_t item = std::is_arithmetic_v<T> ? 4 : 2;                                       \
    latte::model::copy_rows(#name, item, to, from,                                                 \
                            {matrices, rows, elements, matrix_stride, row_stride, to_block_stride, \
                             to_row_stride, to_matrix_stride});                                    \
  }
LATTE_MODEL_ROWS(copy_gm_to_cbuf_multi_nd2nz_b16, float16::Fp16T)
LATTE_MODEL_ROWS(copy_gm_to_cbuf_multi_nd2nz_b16, bfloat16::Bf16T)
LATTE_MODEL_ROWS(copy_gm_to_cbuf_multi_nd2nz_b32s, uint32_t)
LATTE_MODEL_ROWS(copy_gm_to_cbuf_multi_nd2nz_b32s, float)

void create_cbuf_matrix(uint32_t* to, int64_t fields, uint32_t value) {
  constexpr const char* name = "create_cbuf_matrix";
  const auto field = [&](int bit) { return static_cast<size_t>(fields >> bit) & 0x7fff; };
  const size_t repeats = field(0), blocks = field(16), gap = field(32);
  latte::model::check(repeats >= 1 && blocks >= 1, name, "fills nothing");
  auto& c = core();
  const size_t begin = c.locate(Space::kL1, to, latte::model::kBlock, name);
  const size_t bytes = blocks * latte::model::kBlock;
  const size_t stride = bytes + gap * latte::model::kBlock;
  std::vector<latte::model::Access> accesses;
  for (size_t i = 0; i < repeats; ++i) {
    accesses.push_back({Space::kL1, begin + i * stride, begin + i * stride + bytes, true});
  }
  c.issue(latte::model::kMte2, name, accesses, [=, &c] {
    for (size_t i = 0; i < repeats; ++i) {
      for (size_t b = 0; b < bytes; b += sizeof(value)) {
        std::memcpy(c.at(Space::kL1, begin + i * stride + b), &value, sizeof(value));
      }
    }
  });
}

#define LATTE_MODEL_LOAD(name, space, T)                                                           \
  void name(T* to, T* from, uint16_t first, uint8_t repeat, uint16_t from_stride, uint16_t to_gap, \
            uint8_t, bool transpose, addr_cal_mode_t mode) {                                       \
    latte::model::load(#name, space, to, from, first, repeat, from_stride, to_gap, transpose,      \
                       mode);                                                                      \
  }
LATTE_MODEL_LOAD(load_cbuf_to_ca, Space::kL0A, float16::Fp16T)
LATTE_MODEL_LOAD(load_cbuf_to_ca, Space::kL0A, bfloat16::Bf16T)
LATTE_MODEL_LOAD(load_cbuf_to_ca, Space::kL0A, float)
LATTE_MODEL_LOAD(load_cbuf_to_cb, Space::kL0B, float16::Fp16T)
LATTE_MODEL_LOAD(load_cbuf_to_cb, Space::kL0B, bfloat16::Bf16T)
LATTE_MODEL_LOAD(load_cbuf_to_cb, Space::kL0B, float)

#define LATTE_MODEL_LOAD_TRANSPOSED(T)                                                        \
  void load_cbuf_to_ca_transpose(T* to, T* from, uint16_t first, uint8_t repeat,              \
                                 uint16_t from_stride, uint16_t to_gap, bool decrement,       \
                                 uint16_t to_fractal_gap) {                                   \
    constexpr size_t item = std::is_arithmetic_v<T> ? 4 : 2;                                  \
    latte::model::load_transposed("load_cbuf_to_ca_transpose", item, to, from, first, repeat, \
                                  from_stride, to_gap, decrement, to_fractal_gap);            \
  }
LATTE_MODEL_LOAD_TRANSPOSED(float16::Fp16T)
LATTE_MODEL_LOAD_TRANSPOSED(bfloat16::Bf16T)
LATTE_MODEL_LOAD_TRANSPOSED(uint32_t)
LATTE_MODEL_LOAD_TRANSPOSED(float)

void copy_cbuf_to_bt(uint64_t to, void* from, uint16_t convert, uint16_t bursts, uint16_t length,
                     uint16_t from_gap, uint16_t to_gap) {
  constexpr const char* name = "copy_cbuf_to_bt";
  constexpr size_t kUnit = 64;
  latte::model::check(convert == 0, name, "conversion is not modelled");
  const size_t begin = core().locate(Space::kBT, reinterpret_cast<void*>(to), kUnit, name);
  const size_t source = core().locate(Space::kL1, from, latte::model::kBlock, name);
  latte::model::copy_blocks(name, Space::kBT, kUnit, kUnit, begin, latte::model::kMte1, nullptr,
                            source, bursts, length, from_gap, to_gap);
}

void set_nd_para(uint64_t fields) { core().nd_parameters = fields; }

#define LATTE_MODEL_STORE(T, type)                                                         \
  void copy_matrix_cc_to_gm(T* to, float* from, uint8_t, uint16_t columns, uint16_t rows,  \
                            uint32_t to_stride, uint16_t from_stride, uint8_t unit_flag,   \
                            QuantMode_t round, uint8_t relu, bool split, bool row_major) { \
    latte::model::store("copy_matrix_cc_to_gm", type, to, from, columns, rows, to_stride,  \
                        from_stride, unit_flag, round, relu, split, row_major);            \
  }
LATTE_MODEL_STORE(float16::Fp16T, F322F16)
LATTE_MODEL_STORE(bfloat16::Bf16T, F322BF16)
LATTE_MODEL_STORE(float, NoQuant)
