#include "backend/ascend/trial_cases.h"

#include <cmath>
#include <cstring>
#include <memory>

#include "core/dtype.h"

namespace latte::ascend {

namespace {

constexpr CoreCounts kCores{2, 2};
constexpr DType kTypes[] = {DType::kFloat32, DType::kFloat16, DType::kBFloat16};

/// A latent of 3 images of 5 x 9 tokens; the last row and column of pixels fill no patch.
constexpr int64_t kImages = 3, kChannels = 4, kPatch = 2, kRows = 5, kColumns = 9, kDim = 48;
constexpr int64_t kTokens = kImages * kRows * kColumns;
constexpr int64_t kDepth = kChannels * kPatch * kPatch;

std::vector<std::byte> bytes_of(const std::vector<float>& values, DType dtype) {
  std::vector<std::byte> bytes(values.size() * item_size(dtype));
  for (size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::kFloat32) {
      std::memcpy(bytes.data() + i * sizeof(float), &values[i], sizeof(float));
      continue;
    }
    const uint16_t bits =
        dtype == DType::kFloat16 ? float_to_half(values[i]) : float_to_bfloat(values[i]);
    std::memcpy(bytes.data() + i * sizeof bits, &bits, sizeof bits);
  }
  return bytes;
}

double value_at(const std::byte* bytes, size_t index, DType dtype) {
  if (dtype == DType::kFloat32) {
    float value = 0;
    std::memcpy(&value, bytes + index * sizeof value, sizeof value);
    return value;
  }
  uint16_t bits = 0;
  std::memcpy(&bits, bytes + index * sizeof bits, sizeof bits);
  return dtype == DType::kFloat16 ? half_to_float(bits) : bfloat_to_float(bits);
}

/// Pseudo-random numbers that every dtype represents exactly: multiples of 1/64 between -1 and 1.
std::vector<float> numbers(int64_t count, uint32_t seed) {
  std::vector<float> values;
  values.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525 + 1013904223;
    values.push_back(static_cast<float>(static_cast<int32_t>(seed >> 25) - 64) / 64);
  }
  return values;
}

/// Whether the difference is at most half a unit of the dtype at `value`, plus the error that
/// float32 sums and sines may have.
bool is_close(double actual, double value, DType dtype) {
  const double half_unit = dtype == DType::kFloat32   ? 0
                           : dtype == DType::kFloat16 ? 0x1p-11
                                                      : 0x1p-8;
  // False for NaN, too.
  return std::abs(actual - value) <= std::abs(value) * half_unit * 1.01 + 1e-5;
}

TrialCase timestep_case(DType dtype) {
  // Rows 0 and 2 are reduced by the vector unit, row 1 by the scalar unit.
  const std::vector<float> timesteps{1, 1e7F, -250.5F};
  const std::vector<float> frequencies{1, 0.25F, 0.125F};
  Sinusoids sinusoids;
  sinusoids.frequencies = frequencies;
  sinusoids.dim = 7;
  const auto count = static_cast<int64_t>(timesteps.size());
  TimestepProjectionArgs args;
  args.timesteps.shape = {count};
  args.sinusoids = &sinusoids;
  args.output = {{dtype, {count, sinusoids.dim}}, nullptr};
  const auto tiling = timestep_tiling(kCores, args);
  TrialCase trial;
  trial.name = std::string("timestep_projection in ") + dtype_name(dtype);
  trial.inputs = {bytes_of(timesteps, DType::kFloat32), bytes_of(frequencies, DType::kFloat32)};
  trial.output_bytes = args.output.bytes();
  trial.launch = [tiling](const Kernels& kernels, aclrtStream stream,
                          const std::vector<const void*>& inputs, void* output) {
    return kernels.timestep_projection(stream, *tiling, inputs[0], inputs[1], output);
  };
  trial.is_right = [timesteps, frequencies, dtype](const std::byte* output) {
    for (size_t row = 0; row < timesteps.size(); ++row) {
      for (size_t column = 0; column < 7; ++column) {
        const double argument =
            static_cast<double>(timesteps[row]) * frequencies[column % frequencies.size()];
        const double wanted = column == 6  ? 0
                              : column < 3 ? std::sin(argument)
                                           : std::cos(argument);
        if (!is_close(value_at(output, row * 7 + column, dtype), wanted, dtype)) return false;
      }
    }
    return true;
  };
  return trial;
}

struct Latent {
  std::vector<float> pixels =
      numbers(kImages * kChannels * (kRows * kPatch + 1) * (kColumns * kPatch + 1), 1);
  LatentView view;

  explicit Latent(DType dtype) {
    view.dtype = dtype;
    view.outer = kImages;
    view.inner = 1;
    view.channels = kChannels;
    view.height = kRows * kPatch + 1;
    view.width = kColumns * kPatch + 1;
    view.channel_stride = view.height * view.width;
    view.outer_stride = view.inner_stride = kChannels * view.channel_stride;
  }

  /// Element k of a token's patch.
  float at(int64_t token, int64_t k) const {
    const int64_t image = token / (kRows * kColumns), row = token / kColumns % kRows;
    const int64_t channel = k / (kPatch * kPatch);
    const int64_t y = row * kPatch + k / kPatch % kPatch;
    const int64_t x = token % kColumns * kPatch + k % kPatch;
    return pixels[static_cast<size_t>(image * view.outer_stride + channel * view.channel_stride +
                                      y * view.width + x)];
  }
};

TrialCase patchify_case(DType dtype) {
  const auto latent = std::make_shared<const Latent>(dtype);
  const auto tiling = patchify_tiling(kCores, latent->view, kPatch);
  TrialCase trial;
  trial.name = std::string("patchify in ") + dtype_name(dtype);
  trial.inputs = {bytes_of(latent->pixels, dtype)};
  trial.output_bytes = static_cast<size_t>(kTokens * kDepth) * item_size(dtype);
  trial.launch = [tiling](const Kernels& kernels, aclrtStream stream,
                          const std::vector<const void*>& inputs, void* output) {
    return kernels.patchify(stream, *tiling, inputs[0], output);
  };
  trial.is_right = [latent, dtype](const std::byte* output) {
    for (int64_t i = 0; i < kTokens * kDepth; ++i) {
      const double wanted = latent->at(i / kDepth, i % kDepth);
      if (value_at(output, static_cast<size_t>(i), dtype) != wanted) return false;
    }
    return true;
  };
  return trial;
}

TrialCase fused_case(DType dtype) {
  const auto latent = std::make_shared<const Latent>(dtype);
  const std::vector<float> weight = numbers(kDim * kDepth, 2), bias = numbers(kDim, 3);
  PositionTable positions;
  positions.dim = kDim;
  positions.height = kRows;
  positions.width = kColumns;
  positions.columns = numbers(kColumns * kDim / 2, 4);
  positions.rows = numbers(kRows * kDim / 2, 5);
  // Thirds are not exact in 16 bits, so the table needs all of its parts.
  for (float& value : positions.columns) value /= 3;
  const auto tiling = fused_tiling(kCores, latent->view, kPatch, kDim, &positions);
  TrialCase trial;
  trial.name = std::string("patch_projection in ") + dtype_name(dtype);
  trial.inputs = {bytes_of(latent->pixels, dtype),
                  fused_operand(*tiling, bytes_of(weight, dtype).data(),
                                bytes_of(bias, dtype).data(), &positions)};
  trial.output_bytes = static_cast<size_t>(kTokens * kDim) * item_size(dtype);
  trial.launch = [tiling](const Kernels& kernels, aclrtStream stream,
                          const std::vector<const void*>& inputs, void* output) {
    return kernels.patch_projection(stream, *tiling, inputs[0], inputs[1], output);
  };
  trial.is_right = [=](const std::byte* output) {
    for (int64_t token = 0; token < kTokens; ++token) {
      const int64_t column = token % kColumns, row = token / kColumns % kRows;
      for (int64_t n = 0; n < kDim; ++n) {
        const int64_t half = kDim / 2;
        double wanted = bias[static_cast<size_t>(n)];
        wanted += n < half ? positions.columns[static_cast<size_t>(column * half + n)]
                           : positions.rows[static_cast<size_t>(row * half + n - half)];
        for (int64_t k = 0; k < kDepth; ++k) {
          wanted += static_cast<double>(latent->at(token, k)) *
                    weight[static_cast<size_t>(n * kDepth + k)];
        }
        const double actual = value_at(output, static_cast<size_t>(token * kDim + n), dtype);
        if (!is_close(actual, wanted, dtype)) return false;
      }
    }
    return true;
  };
  return trial;
}

}  // namespace

std::vector<TrialCase> plain_trial_cases() {
  std::vector<TrialCase> cases;
  for (const DType dtype : kTypes) {
    cases.push_back(timestep_case(dtype));
    cases.push_back(patchify_case(dtype));
  }
  return cases;
}

std::vector<TrialCase> fused_trial_cases() {
  std::vector<TrialCase> cases;
  for (const DType dtype : kTypes) cases.push_back(fused_case(dtype));
  return cases;
}

}  // namespace latte::ascend
