// Tests of operations of the device interface with arguments that no layer uses, on the device that
// LATTE_TEST_DEVICE names.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "backend/registry.h"
#include "check.h"

namespace {

using namespace latte;

Device& device() {
  const char* name = std::getenv("LATTE_TEST_DEVICE");
  return open_device(name == nullptr ? "cpu" : name);
}

/// The dtypes that layers compute in on the device.
std::vector<DType> dtypes() {
  std::vector<DType> computed;
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    try {
      device().check_dtype(dtype);
      computed.push_back(dtype);
    } catch (const Error&) {
      // The first Ascend 910 computes only in float16.
    }
  }
  EXPECT(!computed.empty());
  return computed;
}

/// Host tensors with memory of their own.
Tensor converted(const std::vector<float>& values, const Shape& shape, DType dtype) {
  Tensor tensor = allocate_on_host({dtype, shape});
  const TensorView floats{{DType::kFloat32, shape}, const_cast<float*>(values.data())};
  run_and_wait(open_device("cpu"), [&](Queue& queue) { queue.convert(floats, tensor); });
  return tensor;
}

std::vector<float> floats_of(const Tensor& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.size()));
  const TensorView to{{DType::kFloat32, tensor.shape}, values.data()};
  run_and_wait(open_device("cpu"), [&](Queue& queue) { queue.convert(tensor, to); });
  return values;
}

Tensor on_device(const std::vector<float>& values) {
  Tensor tensor = allocate(device(), {DType::kFloat32, {static_cast<int64_t>(values.size())}});
  device().copy_in(tensor.data, values.data(), tensor.bytes());
  return tensor;
}

/// Random whole numbers between -bound and bound.
std::vector<float> whole_numbers(int64_t count, int bound, uint32_t seed) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525 + 1013904223;
    values.push_back(static_cast<float>(static_cast<int>((seed >> 16) % (2U * bound + 1)) - bound));
  }
  return values;
}

/// The largest error of one rounding to the dtype, relative to the value.
double half_unit(DType dtype) {
  return dtype == DType::kFloat32 ? 0x1p-24 : dtype == DType::kFloat16 ? 0x1p-11 : 0x1p-8;
}

void check_layer_norm(DType dtype, int64_t dim, bool with_weight, bool with_bias) {
  constexpr int64_t kRows = 3;
  constexpr double kEpsilon = 1e-5;
  const Tensor input = converted(whole_numbers(kRows * dim, 9, 1), {kRows, dim}, dtype);
  std::vector<float> weight = whole_numbers(dim, 50, 2), bias = whole_numbers(dim, 50, 3);
  for (float& value : weight) value /= 16;
  for (float& value : bias) value /= 16;
  const Tensor weight_there = on_device(weight), bias_there = on_device(bias);
  const Tensor result = allocate_on_host(input);
  run_and_wait(device(), [&](Queue& queue) {
    LayerNormArgs args;
    args.x = queue.scratch_tensor(input);
    queue.convert(queue.upload(input), args.x);
    if (with_weight) args.weight = weight_there;
    if (with_bias) args.bias = bias_there;
    args.epsilon = kEpsilon;
    queue.layer_norm(args);
    queue.download(args.x, result.data);
  });

  const std::vector<float> x = floats_of(input), y = floats_of(result);
  for (int64_t row = 0; row < kRows; ++row) {
    const float* values = x.data() + row * dim;
    double mean = 0, magnitude = 0, variance = 0;
    for (int64_t i = 0; i < dim; ++i) mean += values[i];
    for (int64_t i = 0; i < dim; ++i) magnitude += std::abs(values[i]);
    mean /= static_cast<double>(dim);
    magnitude /= static_cast<double>(dim);
    for (int64_t i = 0; i < dim; ++i) variance += (values[i] - mean) * (values[i] - mean);
    variance /= static_cast<double>(dim);
    const double deviation = std::sqrt(variance + kEpsilon);
    // The relative error of a mean of positive numbers: at least 16 partial sums (four registers of
    // SSE2), each of which rounds in float32, then the sum of these and of what is left over.
    const double of_mean = (static_cast<double>(dim) / 16 + 20) * 0x1p-24;
    for (int64_t i = 0; i < dim; ++i) {
      const auto k = static_cast<size_t>(i);
      const double scale = (with_weight ? weight[k] : 1.0) / deviation;
      const double scaled = (values[i] - mean) * scale;
      const double expected = scaled + (with_bias ? bias[k] : 0.0);
      // The square root halves the variance's error; four roundings follow it.
      const double error =
          (of_mean / 2 + 4 * 0x1p-24) * std::abs(scaled) + of_mean * magnitude * std::abs(scale);
      const double distance = std::abs(y[static_cast<size_t>(row * dim) + k] - expected);
      EXPECT(distance <= (std::abs(expected) + error) * half_unit(dtype) * 1.01 + error);
    }
  }
}

struct Patches {
  int64_t outer, channels, inner, height, width;
  PatchSize patch;
  int64_t dim;
  bool positions;
};

/// Compares with whole numbers, whose sums are exact in every dtype: the results must be equal.
void check_patches(DType dtype, const Patches& p) {
  const int64_t depth = p.channels * p.patch.pixels();
  const std::vector<float> pixels =
      whole_numbers(p.outer * p.channels * p.inner * p.height * p.width, 1, 4);
  const std::vector<float> weight = whole_numbers(p.dim * depth, 1, 5);
  const std::vector<float> bias = whole_numbers(p.dim, 2, 6);
  const Tensor latent = converted(pixels, {p.outer, p.channels, p.inner, p.height, p.width}, dtype);
  const Tensor weights =
      converted(weight, {p.dim, p.channels, p.patch.frames, p.patch.height, p.patch.width}, dtype);
  const Tensor biases = converted(bias, {p.dim}, dtype);
  const auto prepared = device().prepare_linear(weights, &biases, dtype);

  PatchProjectionArgs args;
  args.latent = {nullptr, dtype, p.outer, p.inner, p.channels, p.height, p.width, 0, 0, 0};
  args.latent.inner_stride = p.height * p.width;
  args.latent.channel_stride = p.inner * args.latent.inner_stride;
  args.latent.outer_stride = p.channels * args.latent.channel_stride;
  args.patch = p.patch;
  args.weights = prepared.get();
  const int64_t h = args.token_rows(), w = args.token_columns(), images = args.images();
  PositionTable table;
  table.dim = p.dim;
  table.height = h;
  table.width = w;
  table.columns = whole_numbers(w * p.dim / 2, 3, 7);
  table.rows = whole_numbers(h * p.dim / 2, 3, 8);
  std::vector<float> positions(static_cast<size_t>(h * w * p.dim));
  table.expand(positions.data());
  const auto prepared_positions = device().prepare_positions(table);
  if (p.positions) args.positions = prepared_positions.get();

  const Tensor result = allocate_on_host({dtype, {images, h * w, p.dim}});
  run_and_wait(device(), [&](Queue& queue) {
    args.latent.data = queue.upload(latent).data;
    args.output = queue.scratch_tensor(result);
    queue.patch_projection(args);
    queue.download(args.output, result.data);
  });

  const std::vector<float> tokens = floats_of(result);
  const auto pixel = [&](int64_t image, int64_t c, int64_t t, int64_t y, int64_t x) {
    const int64_t per_video = p.inner / p.patch.frames;
    const int64_t frame = image % per_video * p.patch.frames + t;
    const LatentView& view = args.latent;
    return pixels[static_cast<size_t>(image / per_video * view.outer_stride +
                                      c * view.channel_stride + frame * view.inner_stride +
                                      y * p.width + x)];
  };
  size_t i = 0;
  for (int64_t image = 0; image < images; ++image) {
    for (int64_t token = 0; token < h * w; ++token) {
      for (int64_t d = 0; d < p.dim; ++d, ++i) {
        float expected = bias[static_cast<size_t>(d)];
        if (p.positions) expected += positions[static_cast<size_t>(token * p.dim + d)];
        const float* factor = weight.data() + d * depth;
        for (int64_t c = 0; c < p.channels; ++c) {
          for (int64_t t = 0; t < p.patch.frames; ++t) {
            for (int64_t y = 0; y < p.patch.height; ++y) {
              for (int64_t x = 0; x < p.patch.width; ++x) {
                expected += *factor++ * pixel(image, c, t, token / w * p.patch.height + y,
                                              token % w * p.patch.width + x);
              }
            }
          }
        }
        EXPECT_EQ(tokens[i], expected);
      }
    }
  }
}

// Whole vectors, parts of one, and a row of Wan's width.
TEST("layer_norm with and without weight and bias") {
  for (const DType dtype : dtypes()) {
    for (const int64_t dim : {7, 48, 1280}) {
      for (const bool with_weight : {false, true}) {
        for (const bool with_bias : {false, true}) {
          check_layer_norm(dtype, dim, with_weight, with_bias);
        }
      }
    }
  }
});

// HunyuanVideo's patch, one that leaves a remainder of each axis, and one of more than 256 numbers.
TEST("patch_projection of patches of several frames") {
  for (const DType dtype : dtypes()) {
    check_patches(dtype, {2, 4, 6, 6, 8, {2, 2, 2}, 40, true});
    check_patches(dtype, {2, 3, 5, 7, 9, {2, 3, 2}, 22, true});
    check_patches(dtype, {1, 23, 4, 6, 6, {4, 2, 2}, 18, false});
  }
});

// Wan's patch_size is a list: its rows and columns may differ.
TEST("patch_projection of patches that are not square") {
  for (const DType dtype : dtypes()) {
    check_patches(dtype, {2, 4, 3, 6, 8, {1, 2, 2}, 40, true});
    check_patches(dtype, {2, 4, 3, 7, 8, {1, 3, 2}, 40, true});
    check_patches(dtype, {3, 4, 1, 8, 9, {1, 1, 3}, 40, false});
  }
});

}  // namespace
