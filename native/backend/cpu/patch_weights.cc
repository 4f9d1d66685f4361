#include "backend/cpu/patch_weights.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "backend/cpu/convert.h"
#include "core/byte_count.h"

namespace latte::cpu {

namespace {

/// The columns of [weight, bias], one after another: [depth + 1][dim].
std::vector<double> columns_of(const LinearWeights& weights) {
  const int64_t dim = weights.out_features, depth = weights.in_features;
  const auto read = [&](const std::vector<char>& from, int64_t count) {
    std::vector<double> values(static_cast<size_t>(count));
    convert(from.data(), weights.dtype, values.data(), DType::kFloat64, count);
    return values;
  };
  std::vector<char> weight(static_cast<size_t>(dim * depth) * item_size(weights.dtype));
  std::vector<char> bias(static_cast<size_t>(dim) * item_size(weights.dtype));
  weights.unpack(weight.data(), weights.has_bias ? bias.data() : nullptr);
  const auto rows = read(weight, dim * depth);
  std::vector<double> columns(static_cast<size_t>((depth + 1) * dim));
  for (int64_t d = 0; d < dim; ++d) {
    for (int64_t k = 0; k < depth; ++k) columns[k * dim + d] = rows[d * depth + k];
  }
  if (weights.has_bias) std::ranges::copy(read(bias, dim), columns.begin() + depth * dim);
  return columns;
}

/// Subtracts from each column its mean.
void centre(std::vector<double>& columns, int64_t dim) {
  for (auto column = columns.begin(); column != columns.end(); column += dim) {
    const double mean = std::accumulate(column, column + dim, 0.0) / static_cast<double>(dim);
    for (auto value = column; value != column + dim; ++value) *value -= mean;
  }
}

/// R/√dim of the QR decomposition columns = Q·R, by modified Gram-Schmidt. The product of the
/// columns with themselves would give |R·x|², too, but squares their condition number and cancels.
std::vector<float> triangle_of(std::vector<double> columns, int64_t dim) {
  const int64_t count = static_cast<int64_t>(columns.size()) / dim;
  const double share = 1 / std::sqrt(static_cast<double>(dim));
  std::vector<float> triangle;
  triangle.reserve(static_cast<size_t>(count * (count + 1) / 2));
  for (int64_t i = 0; i < count; ++i) {
    double* axis = columns.data() + i * dim;
    const double length = std::sqrt(std::inner_product(axis, axis + dim, axis, 0.0));
    triangle.push_back(static_cast<float>(length * share));
    for (int64_t d = 0; d < dim && length != 0; ++d) axis[d] /= length;
    for (int64_t j = i + 1; j < count; ++j) {
      double* other = columns.data() + j * dim;
      const double along = std::inner_product(axis, axis + dim, other, 0.0);
      triangle.push_back(static_cast<float>(along * share));
      for (int64_t d = 0; d < dim; ++d) other[d] -= along * axis[d];
    }
  }
  return triangle;
}

}  // namespace

std::shared_ptr<const PatchWeights> pack_patches(const LinearWeights& weights, int64_t panel,
                                                 bool centred) {
  const int64_t dim = weights.out_features, depth = weights.in_features;
  const int64_t padded = (dim + panel - 1) / panel * panel;
  auto columns = columns_of(weights);
  if (centred) centre(columns, dim);
  auto packed = std::make_shared<PatchWeights>();
  packed->panels = system::memory_pool().allocate(byte_count(sizeof(float), padded, depth));
  auto* to = static_cast<float*>(packed->panels.data());
  for (int64_t first = 0; first < padded; first += panel) {
    for (int64_t k = 0; k < depth; ++k) {
      for (int64_t d = first; d < first + panel; ++d) {
        *to++ = d < dim ? static_cast<float>(columns[k * dim + d]) : 0.0f;
      }
    }
  }
  packed->bias.resize(static_cast<size_t>(padded));
  std::transform(columns.begin() + depth * dim, columns.end(), packed->bias.begin(),
                 [](double value) { return static_cast<float>(value); });
  if (centred) packed->spread = triangle_of(std::move(columns), dim);
  return packed;
}

}  // namespace latte::cpu
