#include <cmath>
#include <cstring>
#include <limits>

#include "../model/numbers.h"
#include "cases.h"
#include "entries.h"

namespace latte::kernel_test {
namespace {

struct Projection {
  std::vector<float> timesteps;
  int64_t dim = 256;
  DType dtype = DType::kFloat32;
  bool flip = true;
  float scale = 1;
  double shift = 0;
  int64_t vector_cores = 3;
};

std::vector<float> frequencies_of(const Projection& s) {
  const int64_t half = s.dim / 2;
  std::vector<float> frequencies;
  for (int64_t i = 0; i < half; ++i) {
    frequencies.push_back(static_cast<float>(std::exp(-std::log(10000.0) * static_cast<double>(i) /
                                                      (static_cast<double>(half) - s.shift))));
  }
  return frequencies;
}

/// Rounds a result to float32 as the kernel must.
float rounded(double value, DType dtype) {
  const auto single = static_cast<float>(value);
  if (dtype == DType::kFloat16) {
    return model::from_half(model::to_half(single, model::Round::kNearestEven));
  }
  if (dtype == DType::kBFloat16) {
    return model::from_bfloat(model::to_bfloat(single, model::Round::kNearestEven));
  }
  return single;
}

void run(const Projection& s, model::Schedule schedule) {
  const Sinusoids sinusoids{frequencies_of(s), s.scale, s.flip, s.dim};
  const std::vector<float>& frequencies = sinusoids.frequencies;
  const auto count = static_cast<int64_t>(s.timesteps.size());
  TimestepProjectionArgs args;
  args.timesteps.shape = {count};
  args.sinusoids = &sinusoids;
  args.output = {{s.dtype, {count, s.dim}}, nullptr};
  const auto tiling = ascend::timestep_tiling({1, s.vector_cores}, args);
  require(tiling.has_value(), "the tiling refuses");

  Memory memory;
  const size_t item = item_size(s.dtype);
  uint8_t* timesteps = memory.add(s.timesteps.data(), s.timesteps.size() * 4);
  uint8_t* table = memory.add(frequencies.data(), frequencies.size() * 4);
  uint8_t* output = memory.add(static_cast<size_t>(count * s.dim) * item);
  model::run({model::CoreKind::kVector, tiling->blocks, schedule, memory.resolver()},
             [&] { latte_timestep_projection(timesteps, table, output, *tiling); });

  const int64_t half = s.dim / 2;
  for (int64_t row = 0; row < count; ++row) {
    for (int64_t column = 0; column < s.dim; ++column) {
      const uint8_t* at = output + static_cast<size_t>(row * s.dim + column) * item;
      float actual = 0;
      uint16_t bits = 0;
      std::memcpy(item == 4 ? static_cast<void*>(&actual) : &bits, at, item);
      if (s.dtype == DType::kFloat16) actual = model::from_half(bits);
      if (s.dtype == DType::kBFloat16) actual = model::from_bfloat(bits);
      double expected = 0;
      if (column < 2 * half) {
        const bool sine = (column < half) != s.flip;
        const volatile float product =
            s.timesteps[static_cast<size_t>(row)] * frequencies[static_cast<size_t>(column % half)];
        const auto argument = static_cast<double>(static_cast<float>(s.scale * product));
        expected = sine ? std::sin(argument) : std::cos(argument);
      }
      const float wanted = rounded(expected, s.dtype);
      const std::string where = "row " + std::to_string(row) + ", column " +
                                std::to_string(column) + ": " + std::to_string(actual) +
                                " instead of " + std::to_string(wanted);
      if (std::isnan(expected)) {
        require(std::isnan(actual), where);
        continue;
      }
      // Near a tie a 16-bit type may be rounded either way: one unit of the type is allowed.
      const double unit = s.dtype == DType::kFloat32   ? 0
                          : s.dtype == DType::kFloat16 ? std::ldexp(std::fabs(wanted), -10)
                                                       : std::ldexp(std::fabs(wanted), -7);
      const double error = std::fabs(static_cast<double>(actual) - expected);
      require(error <= 2e-7 + (item == 4 ? 0 : unit / 2 * 1.001 + 3e-8), where);
    }
  }
}

}  // namespace

void add_timestep_cases(std::vector<NamedCase>& cases) {
  const auto add = [&](const std::string& name, const Projection& s) {
    cases.push_back(
        {"timestep_projection " + name, [s](model::Schedule schedule) { run(s, schedule); }});
  };
  const std::vector<float> usual{0, 1, 250.5f, 999, -3.25f};
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> huge{1e6f,  1099511627776.0f, -1e20f, 3.4e38f,   65535,  65537, 500,
                                -7e7f, infinity,         NAN,    -infinity, 1e-30f, 0};
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    const std::string type = dtype_name(dtype);
    add("latte " + type, {usual, 256, dtype});
    add("huge " + type, {huge, 256, dtype});
    add("odd dim " + type, {usual, 7, dtype, true});
    add("odd dim, sin first " + type, {usual, 33, dtype, false, 1, 1});
    add("one channel " + type, {usual, 1, dtype});
    add("scaled " + type, {usual, 32, dtype, false, 1000, 0.5});
    add("scaled beyond the limit " + type, {{1e6f, 12}, 32, dtype, false, 1000, 0.5});
    add("many rows " + type, {std::vector<float>(131, 77.7f), 128, dtype, true, 1, 0, 2});
    add("wide " + type, {{3, 999, 1e9f}, 5000, dtype, true, 1, 0, 1});
  }
  std::vector<float> sweep;
  for (int i = 0; i < 600; ++i) sweep.push_back(static_cast<float>(i) * 107.37f - 30000);
  add("sweep", {sweep, 64, DType::kFloat32, true, 1, 0, 40});
  std::vector<float> powers;
  for (int i = -20; i < 127; ++i) powers.push_back(std::ldexp(1.37f, i));
  add("powers", {powers, 6, DType::kFloat32, true, 1, 0, 4});
  add("one row", {{500}, 256, DType::kFloat32, true, 1, 0, 48});
}

}  // namespace latte::kernel_test
