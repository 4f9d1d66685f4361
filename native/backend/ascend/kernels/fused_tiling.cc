// The tiling and the constant operand of the fused projection (patch_projection.cpp).
#include <algorithm>
#include <cstring>
#include <limits>

#include "backend/ascend/kernels/cube_buffers.h"
#include "backend/ascend/kernels/tiling.h"
#include "core/dtype.h"

namespace latte::ascend {
namespace {

constexpr int64_t kFieldLimit = std::numeric_limits<uint32_t>::max();
constexpr int64_t kMostDepth = 64;
constexpr int64_t kHalfBytes = 2;
constexpr int64_t kLeftAndRight = LATTE_FUSED_L1_BYTES / kHalfBytes;  // halfs in L1

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }
uint32_t field(int64_t value) { return static_cast<uint32_t>(value); }

/// Elements of the one-hot columns, of all variants of the one-hot rows, and of one tile of
/// columns: its bias in float32, then its part of the right operand.
int64_t column_elements(const latte_fused_tiling& t) {
  return int64_t{t.column_blocks} * t.tile_tokens * LATTE_CUBE;
}
int64_t row_elements(const latte_fused_tiling& t) {
  return int64_t{t.row_variants} * t.row_blocks * t.tile_tokens * LATTE_CUBE;
}
uint32_t right_blocks(const latte_fused_tiling& t) {
  return t.patch_blocks + t.table_parts * t.table_blocks;
}
int64_t slot_elements(const latte_fused_tiling& t) {
  return int64_t{t.tile_dim} * 2 + int64_t{right_blocks(t)} * t.tile_dim * LATTE_CUBE;
}

/// Tokens of a tile: several whole rows, or a part of one.
void choose_tokens(latte_fused_tiling& t, int64_t images, int64_t cores) {
  const int64_t h = t.token_rows, w = t.token_columns;
  // A row of tokens begins on a block of the transposed pixels: 32 bytes.
  const int64_t unit = t.transposed != 0 ? LATTE_CUBE / t.patch : 1;
  const int64_t pitch = std::min<int64_t>(round_up(w, unit), LATTE_FUSED_TILE);
  int64_t rows = 1;
  if (w <= LATTE_FUSED_TILE) {
    const int64_t share = std::min(h, std::max<int64_t>(1, images * h / (2 * cores)));
    // From one row of tokens to the next: fields of a copy.
    const int64_t pixels = int64_t{t.row_stride} * t.patch;
    while (rows * 2 <= share && rows * 2 * pitch <= LATTE_FUSED_TILE && pixels <= LATTE_ND_STRIDE) {
      rows *= 2;
    }
  }
  t.tile_rows = field(rows);
  t.tile_columns = field(std::min<int64_t>(w, LATTE_FUSED_TILE));
  t.tile_pitch = field(pitch);
  t.tile_tokens = field(round_up(rows * pitch, LATTE_CUBE));
}

void choose_table(latte_fused_tiling& t) {
  t.column_blocks = field(ceil_div(t.tile_columns, LATTE_CUBE));
  t.row_blocks = field(ceil_div(t.tile_rows, LATTE_CUBE));
  t.row_variants = field(ceil_div(LATTE_CUBE, t.tile_rows));
  t.table_blocks = std::max(field(ceil_div(t.token_columns, LATTE_CUBE)),
                            field(ceil_div(t.token_rows, LATTE_CUBE)));
  // 2 · 11 and 3 · 8 bits, of the 24 of float32.
  t.table_parts = t.dtype == LATTE_KERNEL_FLOAT16 ? 2 : 3;
  t.split = t.dim / 2;
}

/// Tiles of columns, and how many of them fit L1 beside the left operands.
bool choose_columns(latte_fused_tiling& t, int64_t cores) {
  const int64_t widest = std::max(t.split, t.dim - t.split);
  const int64_t left = 2 * (int64_t{t.patch_blocks} * t.tile_tokens * LATTE_CUBE) +
                       column_elements(t) + row_elements(t);
  int64_t fitting = 0;
  for (int64_t most = LATTE_FUSED_TILE; most >= LATTE_CUBE && fitting == 0; most /= 2) {
    const int64_t tiles = ceil_div(widest, most);
    t.tile_dim = field(round_up(ceil_div(widest, tiles), LATTE_CUBE));
    fitting = (kLeftAndRight - left) / slot_elements(t);
  }
  if (fitting <= 0) return false;
  t.split_tiles = field(ceil_div(t.split, t.tile_dim));
  t.dim_tiles = t.split_tiles + field(ceil_div(t.dim - t.split, t.tile_dim));
  const int64_t tiles = int64_t{t.images} * ceil_div(t.token_rows, t.tile_rows) *
                        ceil_div(t.token_columns, t.tile_columns);
  if (tiles > kFieldLimit) return false;
  // Few tokens: more groups than L1 asks for keep all cores at work.
  int64_t groups = ceil_div(t.dim_tiles, fitting);
  groups = std::max(groups, std::min<int64_t>(t.dim_tiles, cores / tiles));
  t.group_tiles = field(ceil_div(t.dim_tiles, groups));
  groups = ceil_div(t.dim_tiles, t.group_tiles);
  t.groups = field(groups);
  const int64_t abreast = std::min(groups, cores);
  t.blocks = field(abreast * std::min(tiles, cores / abreast));
  return true;
}

/// Element k of the patches of the right operand is this one of a row of weights; -1: none.
int64_t weight_index(const latte_fused_tiling& t, int64_t k) {
  const int64_t p = t.patch;
  const int64_t lines = int64_t{t.channels} * p;
  // Transposed: lines side by side. Else each begins a block.
  const int64_t line = t.transposed != 0 ? k / p : k / LATTE_CUBE;
  const int64_t j = t.transposed != 0 ? k % p : k % LATTE_CUBE;
  return line < lines && j < p ? line * p + j : -1;
}

}  // namespace

std::optional<latte_fused_tiling> fused_tiling(CoreCounts cores, const LatentView& latent,
                                               int64_t patch_size, int64_t dim,
                                               const HostPositionTable* positions) {
  const bool half_type = latent.dtype == DType::kFloat16 || latent.dtype == DType::kBFloat16;
  if (!half_type || cores.cube < 1 || patch_size < 1 || latent.channels < 1 || dim < 1) {
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
  t.dtype = latent.dtype == DType::kFloat16 ? LATTE_KERNEL_FLOAT16 : LATTE_KERNEL_BFLOAT16;
  t.images = field(images);
  t.inner = field(latent.inner);
  t.channels = field(latent.channels);
  t.patch = field(p);
  t.token_rows = field(h);
  t.token_columns = field(w);
  t.dim = field(dim);
  // A row of a patch is an element of 16 or 32 bits, which the copy to L0A can transpose.
  t.transposed = p <= 2 ? 1 : 0;
  const int64_t lines = latent.channels * p;
  t.patch_blocks = field(t.transposed != 0 ? ceil_div(lines, LATTE_CUBE) * p : lines);
  t.split = t.dim;
  choose_tokens(t, images, cores.cube);
  if (positions != nullptr) choose_table(t);
  // Products of about the same size; pairs of blocks that are loaded at once stay together.
  const int64_t blocks =
      int64_t{t.patch_blocks} + int64_t{t.table_parts} * std::max(t.column_blocks, t.row_blocks);
  const int64_t chunks = ceil_div(blocks, LATTE_FUSED_CHUNK_BLOCKS);
  t.chunk_blocks = field(round_up(ceil_div(blocks, chunks), 2));
  if (!choose_columns(t, cores.cube)) return std::nullopt;
  return t;
}

std::vector<uint16_t> fused_operand(const latte_fused_tiling& t, const uint16_t* weight,
                                    const uint16_t* bias, const HostPositionTable* positions) {
  const int64_t depth = int64_t{t.channels} * t.patch * t.patch;
  const int64_t table = column_elements(t) + row_elements(t);
  std::vector<uint16_t> operand(static_cast<size_t>(table + slot_elements(t) * t.dim_tiles));
  const bool half = t.dtype == LATTE_KERNEL_FLOAT16;
  const auto rounded = [half](float value) {
    return half ? float_to_half(value) : float_to_bfloat(value);
  };
  const auto exact = [half](uint16_t bits) {
    return half ? half_to_float(bits) : bfloat_to_float(bits);
  };
  const uint16_t one = rounded(1);
  // Left: element k of token m at (k / 16, m, k % 16).
  const auto left = [&](int64_t begin, int64_t k, int64_t token) -> uint16_t& {
    return operand[static_cast<size_t>(
        begin + (k / LATTE_CUBE * t.tile_tokens + token) * LATTE_CUBE + k % LATTE_CUBE)];
  };
  if (positions != nullptr) {
    for (int64_t row = 0; row < t.tile_rows; ++row) {
      for (int64_t column = 0; column < t.tile_columns; ++column) {
        const int64_t token = row * t.tile_pitch + column;
        left(0, column, token) = one;
        for (int64_t variant = 0; variant < t.row_variants; ++variant) {
          const int64_t begin =
              column_elements(t) + variant * t.row_blocks * t.tile_tokens * LATTE_CUBE;
          left(begin, variant * t.tile_rows + row, token) = one;
        }
      }
    }
  }
  for (int64_t tile = 0; tile < t.dim_tiles; ++tile) {
    const bool first = tile < t.split_tiles;
    const int64_t begin = first ? tile * t.tile_dim : t.split + (tile - t.split_tiles) * t.tile_dim;
    const int64_t end = std::min<int64_t>(begin + t.tile_dim, first ? t.split : t.dim);
    uint16_t* slot = operand.data() + table + tile * slot_elements(t);
    std::vector<float> tile_bias(t.tile_dim);
    for (int64_t n = begin; n < end && bias != nullptr; ++n) {
      tile_bias[static_cast<size_t>(n - begin)] = exact(bias[n]);
    }
    std::memcpy(slot, tile_bias.data(), tile_bias.size() * sizeof(float));
    uint16_t* right = slot + int64_t{t.tile_dim} * 2;
    // Right: row k of column n at (k / 16, n, k % 16).
    const auto at = [&](int64_t k, int64_t n) -> uint16_t& {
      return right[(k / LATTE_CUBE * t.tile_dim + n) * LATTE_CUBE + k % LATTE_CUBE];
    };
    for (int64_t k = 0; k < int64_t{t.patch_blocks} * LATTE_CUBE; ++k) {
      const int64_t index = weight_index(t, k);
      if (index < 0) continue;
      for (int64_t n = begin; n < end; ++n) at(k, n - begin) = weight[n * depth + index];
    }
    if (positions == nullptr) continue;
    const std::vector<float>& values = first ? positions->columns : positions->rows;
    const int64_t rows = first ? positions->width : positions->height;
    for (int64_t k = 0; k < rows; ++k) {
      for (int64_t n = begin; n < end; ++n) {
        const int64_t column = n - (first ? 0 : int64_t{t.split});
        float rest = values[static_cast<size_t>(k * t.split + column)];
        for (int64_t part = 0; part < t.table_parts; ++part) {
          const uint16_t bits = rounded(rest);
          at((t.patch_blocks + part * t.table_blocks) * LATTE_CUBE + k, n - begin) = bits;
          rest -= exact(bits);
        }
      }
    }
  }
  return operand;
}

}  // namespace latte::ascend
