// The tiling and the constant operand of the fused projection (patch_projection.cpp).
#include <algorithm>
#include <cmath>
#include <cstring>

#include "backend/ascend/kernels/cube_buffers.h"
#include "backend/ascend/kernels/tiling.h"
#include "backend/ascend/kernels/tiling_arithmetic.h"
#include "core/dtype.h"

namespace latte::ascend {
namespace {

constexpr int64_t kMostDepth = 64;
/// The factor of the lower part of a table's value in float16; the larger part has 11 bits.
constexpr float kLowerPartScale = 0x1p11F;

uint32_t field(int64_t value) { return static_cast<uint32_t>(value); }

int64_t item_bytes(const latte_fused_tiling& t) { return t.dtype == LATTE_KERNEL_FLOAT32 ? 4 : 2; }
/// Elements in a block of 32 bytes.
int64_t block_items(const latte_fused_tiling& t) { return LATTE_CUBE_BLOCK / item_bytes(t); }
/// Bytes of one row of pixels of a patch, which the copy to L0A transposes as one element.
int64_t unit_bytes(const latte_fused_tiling& t) { return t.patch * item_bytes(t); }

/// Sizes in blocks of 32 bytes: of the one-hot columns, of all variants of the one-hot rows, of all
/// sets of both, and of the right operand for one tile of columns.
int64_t column_blocks(const latte_fused_tiling& t) {
  return int64_t{t.column_blocks} * t.tile_tokens;
}
int64_t row_blocks(const latte_fused_tiling& t) {
  return int64_t{t.row_variants} * t.row_blocks * t.tile_tokens;
}
int64_t one_hot_blocks(const latte_fused_tiling& t) {
  return t.one_hot_sets * (column_blocks(t) + row_blocks(t));
}
int64_t slot_blocks(const latte_fused_tiling& t) {
  return (int64_t{t.patch_blocks} + int64_t{t.table_parts} * t.table_blocks) * t.tile_dim;
}

/// Chooses the columns of a tile: at least `least` blocks, or the whole half of a row. At least
/// that many make a write of good length. The number divides the half, unless every divisor is
/// short and rounding up wastes little.
void choose_columns(latte_fused_tiling& t, int64_t least) {
  const int64_t widest = ceil_div(std::max(t.split, t.dim - t.split), LATTE_CUBE);
  const int64_t most = std::max<int64_t>(1, LATTE_FUSED_COLUMNS / LATTE_CUBE);
  int64_t best = 0, waste = kFieldLimit;
  for (int64_t tiles = std::max<int64_t>(1, widest / least); tiles >= 1; --tiles) {
    const int64_t columns = ceil_div(widest, tiles);
    if (best != 0 && (columns > most || columns * tiles - widest >= waste)) continue;
    best = columns;
    waste = columns * tiles - widest;
  }
  t.tile_dim = field(std::min(best, most) * LATTE_CUBE);
  t.split_tiles = field(ceil_div(t.split, t.tile_dim));
  t.dim_tiles = t.split_tiles + field(ceil_div(t.dim - t.split, t.tile_dim));
}

/// Chooses the tokens of a tile: several whole rows, or a part of one. L0C holds the sums of two
/// tiles.
void choose_tokens(latte_fused_tiling& t, int64_t images, int64_t cores) {
  const int64_t h = t.token_rows, w = t.token_columns;
  const int64_t most =
      std::min<int64_t>(LATTE_FUSED_TOKENS,
                        round_down(LATTE_FUSED_L0C_BYTES / (int64_t{t.tile_dim} * 4), LATTE_CUBE));
  if (w > most) {
    const int64_t columns = round_up(ceil_div(w, ceil_div(w, most)), LATTE_CUBE);
    t.tile_rows = 1;
    t.tile_columns = t.tile_pitch = t.tile_tokens = field(columns);
    return;
  }
  // A row of tokens begins on a block of the transposed pixels.
  const int64_t unit = t.transposed != 0 ? LATTE_CUBE_BLOCK / unit_bytes(t) : 1;
  const int64_t pitch = round_up(w, unit);
  const int64_t share = std::min(h, std::max<int64_t>(1, images * h / (2 * cores)));
  // Several rows of tokens are one copy only if its 16-bit field can hold their distance.
  const bool apart = int64_t{t.row_stride} * t.patch <= LATTE_ND_STRIDE;
  int64_t rows = 1;
  while (apart && rows * 2 <= share && rows * 2 * pitch <= most) rows *= 2;
  t.tile_rows = field(rows);
  t.tile_columns = field(w);
  t.tile_pitch = field(pitch);
  t.tile_tokens = field(round_up(rows * pitch, LATTE_CUBE));
}

void choose_table(latte_fused_tiling& t, bool positions) {
  t.one_hot_sets = 1;
  if (!positions) {
    // The table has one row, the bias, in the layer's dtype.
    t.column_blocks = t.table_blocks = t.table_parts = 1;
    return;
  }
  const int64_t items = block_items(t);
  t.column_blocks = field(ceil_div(t.tile_columns, items));
  t.row_blocks = field(ceil_div(t.tile_rows, items));
  t.row_variants = field(ceil_div(items, t.tile_rows));
  t.table_blocks =
      std::max(field(ceil_div(t.token_columns, items)), field(ceil_div(t.token_rows, items)));
  // float32's 24 bits fit into two parts of 11 bits (float16), or three of 8 (bfloat16).
  t.table_parts = t.dtype == LATTE_KERNEL_FLOAT32 ? 1 : t.dtype == LATTE_KERNEL_FLOAT16 ? 2 : 3;
  if (t.dtype == LATTE_KERNEL_FLOAT16) t.one_hot_sets = 2;
}

/// Chooses the blocks of K of one product: products of about the same size, which L0A and L0B hold
/// twice. An even number, because two blocks are loaded at once.
void choose_chunk(latte_fused_tiling& t) {
  const int64_t widest = std::max(t.tile_tokens, t.tile_dim);
  const int64_t most = std::min<int64_t>(
      LATTE_FUSED_CHUNK_BLOCKS, round_down(LATTE_FUSED_L0_BYTES / (widest * LATTE_CUBE_BLOCK), 2));
  const int64_t blocks =
      int64_t{t.patch_blocks} + int64_t{t.table_parts} * std::max(t.column_blocks, t.row_blocks);
  t.chunk_blocks = field(round_up(ceil_div(blocks, ceil_div(blocks, most)), 2));
}

/// Chooses how many tiles of columns L1 holds beside the left operands, and deals them to groups of
/// cores. Returns false if not even one fits.
bool choose_groups(latte_fused_tiling& t, int64_t cores) {
  const int64_t left = 2 * int64_t{t.patch_blocks} * t.tile_tokens + one_hot_blocks(t);
  const int64_t fitting = (LATTE_FUSED_L1_BYTES / LATTE_CUBE_BLOCK - left) / slot_blocks(t);
  const int64_t tiles = int64_t{t.images} * ceil_div(t.token_rows, t.tile_rows) *
                        ceil_div(t.token_columns, t.tile_columns);
  if (fitting <= 0 || tiles > kFieldLimit) return false;
  // Each core reads the operand of its group, and each group reads all pixels. Chosen is the number
  // of groups that reads least in all. If there are few tokens, more groups keep all cores at work.
  const int64_t latent = int64_t{t.images} * t.channels * t.token_rows * t.token_columns * t.patch *
                         t.patch * item_bytes(t) / LATTE_CUBE_BLOCK;
  const auto moved = [&](int64_t count) {
    return count * latent + std::min(cores, tiles) * ceil_div(t.dim_tiles, count) * slot_blocks(t);
  };
  int64_t groups = ceil_div(t.dim_tiles, fitting);
  for (int64_t more = groups + 1; more <= std::min<int64_t>(t.dim_tiles, cores); ++more) {
    const bool even = t.dim_tiles % more == 0 && cores % more == 0;
    if (even && moved(more) < moved(groups)) groups = more;
  }
  groups = std::max(groups, std::min<int64_t>(t.dim_tiles, cores / tiles));
  t.group_tiles = field(ceil_div(t.dim_tiles, groups));
  groups = ceil_div(t.dim_tiles, t.group_tiles);
  t.groups = field(groups);
  const int64_t abreast = std::min(groups, cores);
  t.blocks = field(abreast * std::min(tiles, cores / abreast));
  return true;
}

/// The index in a row of weights of element k of the right operand; -1 if the element is padding.
int64_t weight_index(const latte_fused_tiling& t, int64_t k) {
  const int64_t p = t.patch;
  const int64_t lines = int64_t{t.channels} * p;
  // Transposed lines lie side by side; otherwise each line begins a block.
  const int64_t line = t.transposed != 0 ? k / p : k / block_items(t);
  const int64_t j = t.transposed != 0 ? k % p : k % block_items(t);
  return line < lines && j < p ? line * p + j : -1;
}

/// Fills the operand with elements of type T::Bits, which T::encode makes from float32.
template <class T>
class Operand {
 public:
  using Bits = typename T::Bits;

  Operand(const latte_fused_tiling& tiling, std::vector<std::byte>& bytes)
      : t_(tiling), items_(block_items(tiling)), elements_(reinterpret_cast<Bits*>(bytes.data())) {}

  /// Returns false if a value of a table is not finite.
  bool fill(const Bits* weight, const Bits* bias, const PositionTable* positions) {
    if (positions == nullptr) {
      for (int64_t token = 0; token < t_.tile_tokens; ++token) left(0, 0, token) = T::encode(1);
    } else {
      for (int64_t set = 0; set < t_.one_hot_sets; ++set) fill_one_hot(set);
    }
    bool finite = true;
    for (int64_t tile = 0; tile < t_.dim_tiles; ++tile) {
      finite = fill_columns(tile, weight, bias, positions) && finite;
    }
    return finite;
  }

 private:
  /// The place of element k of a token: (k / block, token, k % block).
  Bits& left(int64_t begin, int64_t k, int64_t token) {
    return elements_[begin + (k / items_ * t_.tile_tokens + token) * items_ + k % items_];
  }

  /// The factor of a part of the table; its one-hot vectors hold the inverse. Without it the lower
  /// part in float16, at most 2^-11 of the value, would lose digits below 2^-24.
  float scale_of(int64_t part) const {
    return part == 1 && t_.one_hot_sets == 2 ? kLowerPartScale : 1;
  }

  void fill_one_hot(int64_t set) {
    const int64_t first = set * (column_blocks(t_) + row_blocks(t_)) * items_;
    const Bits one = T::encode(1 / scale_of(set));
    for (int64_t row = 0; row < t_.tile_rows; ++row) {
      for (int64_t column = 0; column < t_.tile_columns; ++column) {
        const int64_t token = row * t_.tile_pitch + column;
        left(first, column, token) = one;
        for (int64_t variant = 0; variant < t_.row_variants; ++variant) {
          const int64_t begin =
              first + (column_blocks(t_) + variant * t_.row_blocks * t_.tile_tokens) * items_;
          left(begin, variant * t_.tile_rows + row, token) = one;
        }
      }
    }
  }

  bool fill_columns(int64_t tile, const Bits* weight, const Bits* bias,
                    const PositionTable* positions) {
    const int64_t depth = int64_t{t_.channels} * t_.patch * t_.patch;
    const bool first = tile < t_.split_tiles;
    const int64_t begin =
        first ? tile * t_.tile_dim : t_.split + (tile - t_.split_tiles) * t_.tile_dim;
    const int64_t end = std::min<int64_t>(begin + t_.tile_dim, first ? t_.split : t_.dim);
    Bits* right = elements_ + (one_hot_blocks(t_) + tile * slot_blocks(t_)) * items_;
    // Row k of column n at (k / block, n, k % block).
    const auto at = [&](int64_t k, int64_t n) -> Bits& {
      return right[(k / items_ * t_.tile_dim + n) * items_ + k % items_];
    };
    for (int64_t k = 0; k < t_.patch_blocks * items_; ++k) {
      const int64_t index = weight_index(t_, k);
      if (index < 0) continue;
      for (int64_t n = begin; n < end; ++n) at(k, n - begin) = weight[n * depth + index];
    }
    const std::vector<float>* values = nullptr;
    int64_t rows = 1;
    if (positions != nullptr) {
      values = first ? &positions->columns : &positions->rows;
      rows = first ? positions->width : positions->height;
    }
    bool finite = true;
    for (int64_t k = 0; k < rows; ++k) {
      for (int64_t n = begin; n < end; ++n) {
        const int64_t column = n - (first ? 0 : int64_t{t_.split});
        float rest = bias == nullptr ? 0 : T::decode(bias[n]);
        if (values != nullptr) rest += (*values)[static_cast<size_t>(k * t_.split + column)];
        for (int64_t part = 0; part < t_.table_parts; ++part) {
          const float scale = scale_of(part);
          const Bits bits = T::encode(rest * scale);
          at((t_.patch_blocks + part * t_.table_blocks) * items_ + k, n - begin) = bits;
          finite = finite && std::isfinite(T::decode(bits));
          rest -= T::decode(bits) / scale;
        }
      }
    }
    return finite;
  }

  const latte_fused_tiling& t_;
  const int64_t items_;
  Bits* const elements_;
};

struct Float32 {
  using Bits = float;
  static float encode(float value) { return value; }
  static float decode(float value) { return value; }
};
struct Float16 {
  using Bits = uint16_t;
  static uint16_t encode(float value) { return float_to_half(value); }
  static float decode(uint16_t bits) { return half_to_float(bits); }
};
struct BFloat16 {
  using Bits = uint16_t;
  static uint16_t encode(float value) { return float_to_bfloat(value); }
  static float decode(uint16_t bits) { return bfloat_to_float(bits); }
};

template <class T>
std::vector<std::byte> operand_of(const latte_fused_tiling& t, const void* weight, const void* bias,
                                  const PositionTable* positions) {
  const int64_t blocks = one_hot_blocks(t) + slot_blocks(t) * t.dim_tiles;
  std::vector<std::byte> bytes(static_cast<size_t>(blocks * LATTE_CUBE_BLOCK));
  using Bits = typename T::Bits;
  const bool finite = Operand<T>(t, bytes).fill(static_cast<const Bits*>(weight),
                                                static_cast<const Bits*>(bias), positions);
  if (!finite) bytes.clear();
  return bytes;
}

}  // namespace

std::optional<latte_fused_tiling> fused_tiling(CoreCounts cores, const LatentView& latent,
                                               int64_t patch_size, int64_t dim,
                                               const PositionTable* positions) {
  const auto dtype = kernel_dtype(latent.dtype);
  if (!dtype || cores.cube < 1 || patch_size < 1 || latent.channels < 1 || dim < 1) {
    return std::nullopt;
  }
  const int64_t p = patch_size, h = latent.height / p, w = latent.width / p;
  const int64_t images = latent.outer * latent.inner;
  if (p > kMostDepth || latent.channels * p * p > kMostDepth || images < 1 || h < 1 || w < 1) {
    return std::nullopt;
  }
  if (images > kFieldLimit || images * h > kFieldLimit || latent.width > LATTE_ND_STRIDE ||
      dim > LATTE_ND_STRIDE || h > LATTE_ND_STRIDE) {
    return std::nullopt;
  }
  if (positions != nullptr && (positions->columns.empty() || positions->height != h ||
                               positions->width != w || positions->dim != dim || dim % 2 != 0)) {
    return std::nullopt;
  }
  latte_fused_tiling t{};
  t.outer_stride = static_cast<uint64_t>(latent.outer_stride);
  t.inner_stride = static_cast<uint64_t>(latent.inner_stride);
  t.channel_stride = static_cast<uint64_t>(latent.channel_stride);
  t.row_stride = field(latent.width);
  t.dtype = *dtype;
  t.images = field(images);
  t.inner = field(latent.inner);
  t.channels = field(latent.channels);
  t.patch = field(p);
  t.token_rows = field(h);
  t.token_columns = field(w);
  t.dim = field(dim);
  // A row of a patch is an element of 16 or 32 bits, which the copy to L0A can transpose.
  t.transposed = unit_bytes(t) <= 4 ? 1 : 0;
  const int64_t lines = latent.channels * p;
  // 16 lines are one block of 16-bit elements, or two of 32-bit ones.
  t.patch_blocks =
      field(t.transposed != 0 ? ceil_div(lines, LATTE_CUBE) * (unit_bytes(t) / 2) : lines);
  t.split = positions != nullptr ? t.dim / 2 : t.dim;
  // Large tables leave L1 less room for columns.
  for (int64_t least = LATTE_FUSED_WRITE_BYTES / item_bytes(t) / LATTE_CUBE; least >= 1;
       least /= 2) {
    choose_columns(t, least);
    choose_tokens(t, images, cores.cube);
    choose_table(t, positions != nullptr);
    choose_chunk(t);
    if (choose_groups(t, cores.cube)) return t;
  }
  return std::nullopt;
}

std::vector<std::byte> fused_operand(const latte_fused_tiling& tiling, const void* weight,
                                     const void* bias, const PositionTable* positions) {
  switch (tiling.dtype) {
    case LATTE_KERNEL_FLOAT32:
      return operand_of<Float32>(tiling, weight, bias, positions);
    case LATTE_KERNEL_FLOAT16:
      return operand_of<Float16>(tiling, weight, bias, positions);
    default:
      return operand_of<BFloat16>(tiling, weight, bias, positions);
  }
}

}  // namespace latte::ascend
