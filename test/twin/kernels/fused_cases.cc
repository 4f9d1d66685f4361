#include <cmath>
#include <cstring>

#include "cases.h"
#include "core/dtype.h"
#include "entries.h"

namespace latte::kernel_test {
namespace {

struct Projection {
  int64_t patch, channels, outer, inner, height, width, dim;
  bool bias = true, table = true;
  int64_t cube_cores = 3;
  DType dtype = DType::kFloat16;
  bool cancels = false;  // a patch is about the negative of its position
};

class Random {
 public:
  /// Returns a random number in -1 ... 1.
  float next() {
    state_ = state_ * 1664525 + 1013904223;
    return static_cast<float>(static_cast<int32_t>(state_)) * 0x1p-31f;
  }
  std::vector<float> floats(int64_t count) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& value : values) value = next();
    return values;
  }

 private:
  uint32_t state_ = 2463534242;
};

float rounded(float value, DType dtype) {
  if (dtype == DType::kFloat16) return half_to_float(float_to_half(value));
  return dtype == DType::kBFloat16 ? bfloat_to_float(float_to_bfloat(value)) : value;
}
float decoded(const uint8_t* at, DType dtype) {
  if (dtype == DType::kFloat32) {
    float value = 0;
    std::memcpy(&value, at, sizeof(value));
    return value;
  }
  uint16_t bits = 0;
  std::memcpy(&bits, at, sizeof(bits));
  return dtype == DType::kFloat16 ? half_to_float(bits) : bfloat_to_float(bits);
}

/// Numbers rounded to the dtype, and their bytes in memory.
struct Numbers {
  Numbers() = default;
  Numbers(const std::vector<float>& of, DType dtype) {
    const size_t item = item_size(dtype);
    for (const float value : of) {
      values.push_back(rounded(value, dtype));
      const uint16_t bits =
          dtype == DType::kFloat16 ? float_to_half(value) : float_to_bfloat(value);
      const auto* begin = dtype == DType::kFloat32 ? reinterpret_cast<const uint8_t*>(&value)
                                                   : reinterpret_cast<const uint8_t*>(&bits);
      bytes.insert(bytes.end(), begin, begin + item);
    }
  }
  std::vector<float> values;
  std::vector<uint8_t> bytes;
};

struct Operands {
  Numbers pixels, weight, bias;
  PositionTable positions;
};

/// Makes one pixel a patch and the same position for all tokens, whose sum is about 2^-11 of
/// either.
void cancel(const Projection& p, Operands& o, Random& random) {
  const float pixel = rounded(0.3F, p.dtype);
  o.pixels = {std::vector<float>(o.pixels.values.size(), pixel), p.dtype};
  std::vector<float> weights(static_cast<size_t>(p.dim));
  const auto half = static_cast<size_t>(p.dim / 2);
  for (size_t n = 0; n < weights.size(); ++n) {
    const float position = random.next() * 0x1p-6F;
    std::vector<float>& half_table = n < half ? o.positions.columns : o.positions.rows;
    for (size_t at = n % half; at < half_table.size(); at += half) half_table[at] = position;
    weights[n] = -position / pixel;
  }
  o.weight = {weights, p.dtype};
}

Operands operands_of(const Projection& p, int64_t h, int64_t w) {
  Random random;
  Operands o;
  const int64_t depth = p.channels * p.patch * p.patch;
  o.pixels = {random.floats(p.outer * p.channels * p.inner * p.height * p.width), p.dtype};
  o.weight = {random.floats(p.dim * depth), p.dtype};
  o.bias = {random.floats(p.dim), p.dtype};
  o.positions.dim = p.dim;
  o.positions.height = h;
  o.positions.width = w;
  o.positions.columns = random.floats(w * (p.dim / 2));
  o.positions.rows = random.floats(h * (p.dim / 2));
  if (p.cancels) cancel(p, o, random);
  return o;
}

LatentView view_of(const Projection& p) {
  return video({p.dtype, p.outer, p.inner, p.channels, p.height, p.width});
}

/// The expected value, in double, with the table in float32. `magnitude` becomes the sum of the
/// terms' magnitudes.
double expected(const Projection& p, const LatentView& view, const Operands& o, int64_t image,
                int64_t y, int64_t x, int64_t n, double& magnitude) {
  const int64_t side = p.patch;
  double sum = 0;
  magnitude = 0;
  const auto add = [&](double term) {
    sum += term;
    magnitude += std::fabs(term);
  };
  const float* weight = o.weight.values.data() + n * p.channels * side * side;
  for (int64_t c = 0; c < p.channels; ++c) {
    for (int64_t i = 0; i < side; ++i) {
      for (int64_t j = 0; j < side; ++j) {
        const int64_t at = image / p.inner * view.outer_stride +
                           image % p.inner * view.inner_stride + c * view.channel_stride +
                           (y * side + i) * p.width + x * side + j;
        add(static_cast<double>(o.pixels.values[static_cast<size_t>(at)]) *
            weight[(c * side + i) * side + j]);
      }
    }
  }
  if (p.bias) add(o.bias.values[static_cast<size_t>(n)]);
  if (p.table) {
    const int64_t half = p.dim / 2;
    const float position = n < half ? o.positions.columns[static_cast<size_t>(x * half + n)]
                                    : o.positions.rows[static_cast<size_t>(y * half + n - half)];
    add(position);
  }
  return sum;
}

struct Result {
  model::Traffic traffic;
  double output_bytes = 0;
};

Result run(const Projection& p, model::Schedule schedule) {
  const int64_t h = p.height / p.patch, w = p.width / p.patch;
  const LatentView view = view_of(p);
  const Operands o = operands_of(p, h, w);
  const PositionTable* positions = p.table ? &o.positions : nullptr;
  const auto tiling = ascend::fused_tiling({p.cube_cores, 0}, view, p.patch, p.dim, positions);
  require(tiling.has_value(), "the tiling refuses");
  require(tiling->blocks <= p.cube_cores, "more blocks than cores");
  const std::vector<std::byte> packed = ascend::fused_operand(
      *tiling, o.weight.bytes.data(), p.bias ? o.bias.bytes.data() : nullptr, positions);

  const size_t item = item_size(p.dtype);
  const int64_t images = p.outer * p.inner, tokens = images * h * w;
  Memory memory;
  uint8_t* latent = memory.add(o.pixels.bytes.data(), o.pixels.bytes.size());
  uint8_t* operand = memory.add(packed.data(), packed.size());
  uint8_t* output = memory.add(static_cast<size_t>(tokens * p.dim) * item);
  Result result;
  result.output_bytes = static_cast<double>(tokens * p.dim) * static_cast<double>(item);
  result.traffic = model::run({model::CoreKind::kCube, tiling->blocks, schedule, memory.resolver()},
                              [&] { latte_patch_projection(latent, operand, output, *tiling); });

  // Half a unit of the dtype, plus the error of sums in float32.
  const double half_unit = p.dtype == DType::kFloat32   ? 0
                           : p.dtype == DType::kFloat16 ? std::ldexp(1, -11)
                                                        : std::ldexp(1, -8);
  const double slack = p.cancels ? 0x1p-23 : 0x1p-20;
  for (int64_t token = 0; token < tokens; ++token) {
    for (int64_t n = 0; n < p.dim; ++n) {
      double magnitude = 0;
      const double wanted =
          expected(p, view, o, token / (h * w), token / w % h, token % w, n, magnitude);
      const auto actual = static_cast<double>(
          decoded(output + static_cast<size_t>(token * p.dim + n) * item, p.dtype));
      const double bound = half_unit * std::fabs(wanted) * 1.001 + magnitude * slack + 0x1p-25;
      require(std::fabs(actual - wanted) <= bound,
              "token " + std::to_string(token) + ", column " + std::to_string(n) + ": " +
                  std::to_string(actual) + " instead of " + std::to_string(wanted));
    }
  }
  return result;
}

/// Checks what is copied from and to device memory: each pixel once, the operand once a core, each
/// result once. `most` is the largest number of bytes moved for each byte of the output.
void check_traffic(const Projection& p, model::Schedule schedule, double most) {
  const Result result = run(p, schedule);
  const double bytes = static_cast<double>(result.traffic.read + result.traffic.written);
  require(static_cast<double>(result.traffic.written) == result.output_bytes,
          "a result is not written once");
  require(bytes <= most * result.output_bytes,
          std::to_string(bytes / result.output_bytes) + " times the output is moved");
  const double write = result.output_bytes / static_cast<double>(result.traffic.writes);
  const double half_row = static_cast<double>(p.dim) / 2 * static_cast<double>(item_size(p.dtype));
  require(write >= std::min(512.0, half_row), "a write has " + std::to_string(write) + " bytes");
}

/// Checks that tiles of columns divide half a row, rounded up to 16, without a rest.
void check_columns(DType dtype, int64_t dim) {
  PositionTable table;
  table.dim = dim;
  table.height = table.width = 32;
  table.columns.resize(1);
  const LatentView view = video({dtype, 32, 1, 4, 64, 64});
  const auto tiling = ascend::fused_tiling({24, 0}, view, 2, dim, &table);
  require(tiling.has_value(), "the tiling refuses");
  const int64_t half = (dim / 2 + 15) / 16 * 16;
  const std::string chosen = std::to_string(tiling->tile_dim) + " columns for " +
                             std::to_string(tiling->tile_tokens) + " tokens";
  require(half % tiling->tile_dim == 0, chosen + " waste columns");
  require(
      tiling->tile_dim * static_cast<int64_t>(item_size(dtype)) >= 512 || tiling->tile_dim == half,
      chosen + " are short writes");
}

/// Checks that an infinite bias or table gets no operand, because it would reach other tokens.
void refuse_infinite(DType dtype) {
  Projection p{2, 4, 1, 1, 8, 8, 64};
  p.dtype = dtype;
  Operands o = operands_of(p, 4, 4);
  const auto tiling = ascend::fused_tiling({1, 0}, view_of(p), 2, 64, &o.positions);
  require(tiling.has_value(), "the tiling refuses");
  const auto pack = [&] {
    return ascend::fused_operand(*tiling, o.weight.bytes.data(), o.bias.bytes.data(), &o.positions);
  };
  require(!pack().empty(), "there is no operand");
  o.positions.rows[5] = INFINITY;
  require(pack().empty(), "an infinite position is taken");
  o.positions.rows[5] = 0;
  std::vector<float> biases = o.bias.values;
  biases[7] = NAN;
  o.bias = {biases, dtype};
  require(pack().empty(), "a bias that is no number is taken");
}

}  // namespace

void add_fused_cases(std::vector<NamedCase>& cases) {
  const auto add = [&](Projection p) {
    for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
      p.dtype = dtype;
      const std::string name = "patch_projection p" + std::to_string(p.patch) + " c" +
                               std::to_string(p.channels) + " " + std::to_string(p.outer) + "x" +
                               std::to_string(p.inner) + " images " + std::to_string(p.height) +
                               "x" + std::to_string(p.width) + " dim " + std::to_string(p.dim) +
                               (p.cancels ? ", cancelling" : "") + (p.bias ? "" : ", no bias") +
                               (p.table ? "" : ", no table") + " on " +
                               std::to_string(p.cube_cores) + " " + dtype_name(dtype);
      cases.push_back({name, [p](model::Schedule schedule) { run(p, schedule); }});
    }
  };
  // The shapes of the golden files.
  add({2, 4, 2, 1, 8, 8, 64});
  add({2, 4, 1, 1, 8, 8, 64, false});
  add({2, 4, 3, 1, 8, 8, 64});
  add({2, 4, 1, 1, 8, 12, 64});
  add({2, 4, 1, 1, 8, 10, 64});
  add({2, 4, 1, 1, 8, 6, 64, false, false});
  add({2, 4, 1, 1, 8, 2, 16, true, false});
  add({1, 16, 2, 1, 4, 4, 72});
  add({1, 8, 1, 1, 2, 3, 1152});
  add({4, 3, 1, 1, 24, 8, 96});
  add({4, 3, 1, 1, 16, 36, 16});
  add({4, 3, 1, 1, 9, 11, 32});
  add({4, 3, 1, 1, 13, 10, 32});
  // Videos, odd widths, tiles of several rows of tokens and of parts of one.
  add({2, 4, 2, 3, 8, 8, 64});
  add({2, 4, 1, 2, 9, 11, 64});
  add({2, 4, 1, 1, 32, 30, 1152, true, true, 2});
  add({2, 4, 1, 2, 64, 64, 256, true, true, 1});
  add({2, 4, 1, 1, 70, 16, 32, true, true, 1});
  add({2, 1, 1, 1, 300, 2, 32, true, true, 1});
  add({2, 3, 1, 1, 4, 515, 32, true, true, 2});
  add({2, 16, 1, 1, 6, 520, 34, true, true, 1});
  add({3, 5, 1, 2, 10, 17, 24});
  add({3, 7, 1, 1, 40, 50, 130, true, true, 1});
  add({4, 4, 1, 1, 9, 700, 18, true, true, 2});
  add({5, 2, 1, 1, 15, 22, 2, true, true, 1});
  add({8, 1, 2, 1, 17, 33, 40});
  add({1, 64, 1, 1, 5, 7, 36, true, true, 2});
  add({1, 33, 1, 1, 3, 19, 20, true, true, 1});
  add({1, 1, 1, 1, 1, 1, 1, true, false});
  add({1, 3, 1, 1, 2, 129, 30, true, true, 1});
  // More right operands than L1 holds; more groups of these than cores; more cores than tiles.
  add({3, 7, 1, 1, 9, 9, 2304, true, true, 1});
  add({3, 7, 1, 1, 9, 9, 2304, true, true, 7});
  add({2, 4, 1, 1, 8, 8, 1152, true, true, 24});
  add({2, 4, 1, 1, 2, 4600, 24, true, true, 2});
  // Without a table every token takes the bias, in each part of a row.
  add({2, 4, 1, 1, 4, 600, 34, true, false, 1});

  add({1, 1, 1, 1, 5, 19, 128, false, true, 2, DType::kFloat16, true});

  // As [32, 4, 64, 64] -> 1152 on 24 cores, with 1365 tokens a core; this one has 1280.
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    Projection latte{2, 4, 8, 1, 20, 64, 1152, true, true, 2};
    latte.dtype = dtype;
    const std::string type = dtype_name(dtype);
    cases.push_back({"patch_projection moves little more than its output " + type,
                     [latte](model::Schedule schedule) { check_traffic(latte, schedule, 1.1); }});
    for (const int64_t dim :
         {16, 64, 72, 256, 512, 768, 832, 1024, 1152, 1280, 1536, 2048, 3072, 4096}) {
      cases.push_back(
          {"patch_projection divides the columns of dim " + std::to_string(dim) + " " + type,
           [dtype, dim](model::Schedule) { check_columns(dtype, dim); }});
    }
    cases.push_back({"patch_projection refuses infinite tables " + type,
                     [dtype](model::Schedule) { refuse_infinite(dtype); }});
  }

  const auto refuse = [&](const std::string& name, const Projection& p) {
    cases.push_back({"patch_projection refuses " + name, [p](model::Schedule) {
                       const PositionTable table = operands_of(p, p.height, p.width).positions;
                       const auto tiling =
                           ascend::fused_tiling({p.cube_cores, 0}, view_of(p), p.patch, p.dim,
                                                p.table ? &table : nullptr);
                       require(!tiling, "the tiling does not refuse");
                     }});
  };
  refuse("more than 64 values in a patch", {3, 8, 1, 1, 9, 9, 64, true, false});
  refuse("float64", {2, 4, 1, 1, 8, 8, 64, true, false, 3, DType::kFloat64});
  refuse("frames smaller than a patch", {4, 3, 1, 1, 3, 8, 64, true, false});
  refuse("no images", {2, 4, 0, 1, 8, 8, 64, true, false});
  refuse("no cube cores", {2, 4, 1, 1, 8, 8, 64, true, false, 0});
  refuse("a table of another size", {2, 4, 1, 1, 8, 8, 64, true, true});
  refuse("rows too far apart for a copy", {1, 1, 1, 1, 1, 1 << 17, 16, true, false});
  refuse("a table that exceeds L1", {1, 1, 1, 1, 1, 30000, 16, true, true});
}

}  // namespace latte::kernel_test
