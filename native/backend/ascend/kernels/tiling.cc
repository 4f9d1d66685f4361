#include "backend/ascend/kernels/tiling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "backend/ascend/kernels/tiling_arithmetic.h"
#include "backend/ascend/kernels/unified_buffer.h"

namespace latte::ascend {
namespace {

/// A bound for |timestep| within which |scale · timestep · frequency| is at most
/// LATTE_DIRECT_ARGUMENT for every frequency.
float direct_limit(const Sinusoids& sinusoids) {
  double largest = 0;
  for (const float frequency : sinusoids.frequencies) {
    // With a NaN or infinite frequency, −1 makes the kernel reduce every row by its scalar unit.
    if (!std::isfinite(frequency)) return -1;
    largest = std::max(largest, std::fabs(static_cast<double>(frequency)));
  }
  largest *= std::fabs(static_cast<double>(sinusoids.scale));
  if (!std::isfinite(largest)) return -1;
  // 0.999 covers the two roundings of the argument.
  const double limit = LATTE_DIRECT_ARGUMENT * 0.999 / std::max(largest, 1e-30);
  return static_cast<float>(std::min(limit, 1e30));
}

}  // namespace

std::optional<uint32_t> kernel_dtype(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return LATTE_KERNEL_FLOAT32;
    case DType::kFloat16:
      return LATTE_KERNEL_FLOAT16;
    case DType::kBFloat16:
      return LATTE_KERNEL_BFLOAT16;
    default:
      return std::nullopt;
  }
}

std::optional<latte_timestep_tiling> timestep_tiling(CoreCounts cores,
                                                     const TimestepProjectionArgs& args) {
  const Sinusoids& sinusoids = *args.sinusoids;
  const int64_t count = args.count(), dim = sinusoids.dim, half = dim / 2;
  const auto dtype = kernel_dtype(args.output.dtype);
  if (!dtype || cores.vector < 1 || count < 1 || dim < 1) return std::nullopt;
  if (count > kFieldLimit / 64 || dim > kFieldLimit / 64) return std::nullopt;
  const int64_t block_rows = ceil_div(count, std::min(count, cores.vector));
  const int64_t columns =
      std::min<int64_t>(round_up(std::max<int64_t>(half, 1), 64), LATTE_TIMESTEP_TILE);
  const int64_t rows = std::min<int64_t>(block_rows, LATTE_TIMESTEP_TILE / columns);
  latte_timestep_tiling tiling{};
  tiling.blocks = static_cast<uint32_t>(ceil_div(count, block_rows));
  tiling.dtype = *dtype;
  tiling.count = static_cast<uint32_t>(count);
  tiling.dim = static_cast<uint32_t>(dim);
  tiling.half = static_cast<uint32_t>(half);
  tiling.block_rows = static_cast<uint32_t>(block_rows);
  tiling.tile_rows = static_cast<uint32_t>(rows);
  tiling.tile_columns = static_cast<uint32_t>(columns);
  tiling.flip = sinusoids.flip_sin_to_cos ? 1 : 0;
  tiling.scale = sinusoids.scale;
  tiling.direct_limit = direct_limit(sinusoids);
  tiling.two_over_pi_1 = 0xa2f9836e;
  tiling.two_over_pi_2 = 0x4e441529;
  tiling.two_over_pi_3 = 0xfc2757d1;
  tiling.two_over_pi_4 = 0xf534ddc0;
  tiling.two_over_pi_5 = 0xdb629599;
  tiling.two_over_pi_6 = 0x3c439041;
  tiling.two_over_pi_7 = 0xfe5163ab;
  tiling.two_over_pi_8 = 0xdebbc561;
  return tiling;
}

std::optional<latte_patchify_tiling> patchify_tiling(CoreCounts cores, const LatentView& latent,
                                                     int64_t patch_size) {
  if (!kernel_dtype(latent.dtype) || cores.vector < 1 || patch_size < 1) return std::nullopt;
  const auto item = static_cast<int64_t>(item_size(latent.dtype));
  const int64_t h = latent.height / patch_size, w = latent.width / patch_size;
  const int64_t images = latent.outer * latent.inner;
  if (images < 1 || h < 1 || w < 1 || latent.channels < 1) return std::nullopt;
  // The fields of a copy: at most 4095 bursts, and lengths and gaps of 21 bits.
  const int64_t row_stride = latent.width * item;
  if (row_stride >= LATTE_COPY_BYTES || images > kFieldLimit || patch_size > LATTE_COPY_BURSTS) {
    return std::nullopt;
  }
  const int64_t lines = latent.channels * patch_size;  // rows of pixels of one row of tokens
  const int64_t depth_bytes = lines * patch_size * item;
  const int64_t unit = patch_size * item % 4 == 0 ? 4 : 2;
  const int64_t depth = depth_bytes / unit;
  const auto line_bytes = [&](int64_t columns) {
    return round_up(columns * patch_size * item, LATTE_UB_BLOCK);
  };
  // The buffers hold two tiles of pixels, two of patches and one of offsets (4 bytes for each unit
  // of 2 or 4 bytes). A tile that fits is also small enough for one gather.
  static_assert(LATTE_PATCHIFY_BYTES / (4 * 2 + 4) <= LATTE_GATHER_UNITS);
  const auto fits = [&](int64_t rows, int64_t columns) {
    const int64_t units = round_up(rows * columns * depth, 64);
    const int64_t bytes = 2 * rows * lines * line_bytes(columns) + 2 * units * unit + units * 4;
    return rows * patch_size <= LATTE_COPY_BURSTS && bytes <= LATTE_PATCHIFY_BYTES;
  };
  if (!fits(1, 1)) return std::nullopt;
  int64_t columns = w;
  while (!fits(1, columns)) columns = ceil_div(columns, 2);
  int64_t rows = 1;
  // The kernel makes the other rows of offsets from the first one by vector instructions, which
  // write whole blocks.
  if (columns == w && w * depth % 8 == 0) {
    const int64_t share = std::max<int64_t>(1, images * h / (2 * cores.vector));
    while (rows * 2 <= std::min(share, h) && fits(rows * 2, columns)) rows *= 2;
  }
  const int64_t tiles = images * ceil_div(h, rows) * ceil_div(w, columns);
  if (tiles > kFieldLimit) return std::nullopt;
  latte_patchify_tiling tiling{};
  tiling.outer_stride = static_cast<uint64_t>(latent.outer_stride * item);
  tiling.inner_stride = static_cast<uint64_t>(latent.inner_stride * item);
  tiling.channel_stride = static_cast<uint64_t>(latent.channel_stride * item);
  tiling.row_stride = static_cast<uint32_t>(row_stride);
  tiling.blocks = static_cast<uint32_t>(std::min(tiles, cores.vector));
  tiling.item_bytes = static_cast<uint32_t>(item);
  tiling.unit_bytes = static_cast<uint32_t>(unit);
  tiling.images = static_cast<uint32_t>(images);
  tiling.inner = static_cast<uint32_t>(latent.inner);
  tiling.channels = static_cast<uint32_t>(latent.channels);
  tiling.patch = static_cast<uint32_t>(patch_size);
  tiling.token_rows = static_cast<uint32_t>(h);
  tiling.token_columns = static_cast<uint32_t>(w);
  tiling.tile_rows = static_cast<uint32_t>(rows);
  tiling.tile_columns = static_cast<uint32_t>(columns);
  tiling.line_bytes = static_cast<uint32_t>(line_bytes(columns));
  tiling.tile_units = static_cast<uint32_t>(round_up(rows * columns * depth, 64));
  return tiling;
}

}  // namespace latte::ascend
