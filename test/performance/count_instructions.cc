// Runs each CPU kernel once at a small size, between marks for what counts its instructions:
// valgrind's callgrind, which writes one file a case, or on AArch64 the plugin qemu_counter.c.
// count-instructions.sh builds, runs and reads it.
#if defined(__aarch64__)
#include <sys/syscall.h>
#include <unistd.h>
#else
#include <valgrind/callgrind.h>
#endif

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/device.h"

namespace {

using namespace latte;

Device& host() { return cpu::device(); }

Tensor ramp(const TensorSpec& spec) {
  Tensor tensor = allocate(host(), spec);
  // Instructions do not depend on values as long as these are ordinary ones: a ramp, converted.
  const TensorSpec wide{DType::kFloat32, spec.shape};
  const Tensor floats = allocate(host(), wide);
  auto* values = static_cast<float*>(floats.data);
  for (int64_t i = 0; i < spec.size(); ++i) {
    values[i] = static_cast<float>(i % 97) / 97.0F - 0.5F;
  }
  run_and_wait(host(), [&](Queue& queue) { queue.convert(floats, tensor); });
  return tensor;
}

#if defined(__aarch64__)
std::vector<std::string> names;

/// A mark is a write to a file descriptor that is not open, which the system refuses. Its number of
/// bytes is 0 at the beginning of a case, and the number of the case at the end.
void mark(size_t number) { syscall(SYS_write, 1000000, nullptr, number); }
void begin_count() { mark(0); }
void end_count(const std::string& name) {
  names.push_back(name);
  mark(names.size());
}
void print_names() {
  for (const std::string& name : names) std::printf("%s\n", name.c_str());
}
#else
void begin_count() { CALLGRIND_ZERO_STATS; }
void end_count(const std::string& name) { CALLGRIND_DUMP_STATS_AT(name.c_str()); }
#endif

/// Once to warm up (the pool's memory, the choice of the instruction set), once counted.
void count(const std::string& name, const std::function<void(Queue&)>& work) {
  run_and_wait(host(), work);
  begin_count();
  run_and_wait(host(), work);
  end_count(name);
}

void count_patches(DType dtype, int64_t channels, int64_t patch, bool layer_norm,
                   const char* suffix, int64_t images = 4, int64_t edge_patches = 8,
                   int64_t dim = 288) {
  const int64_t edge = edge_patches * patch;
  const int64_t tokens = edge_patches * edge_patches;
  const Tensor weight = ramp({dtype, {dim, channels, patch, patch}});
  const Tensor bias = ramp({dtype, {dim}});
  const auto weights = host().prepare_linear(weight, &bias, dtype);
  PositionTable table;
  table.dim = dim;
  table.height = table.width = edge / patch;
  table.columns.assign(static_cast<size_t>(table.width * dim / 2), 0.25F);
  table.rows.assign(static_cast<size_t>(table.height * dim / 2), 0.5F);
  const auto positions = host().prepare_positions(std::move(table));
  const Tensor latent = ramp({dtype, {images, channels, edge, edge}});
  const Tensor output = allocate(host(), {dtype, {images, tokens, dim}});
  count(std::string("patch_projection ") + dtype_name(dtype) + suffix, [&](Queue& queue) {
    PatchProjectionArgs args;
    args.latent = {latent.data, dtype,      images, 1, channels, edge, edge, channels * edge * edge,
                   0,           edge * edge};
    args.patch = {1, patch, patch};
    args.weights = weights.get();
    args.positions = positions.get();
    args.layer_norm = layer_norm;
    args.output = output;
    queue.patch_projection(args);
  });
}

void count_linear(DType dtype, int64_t rows, Activation activation, const char* suffix,
                  int64_t in = 256, int64_t out = 288) {
  const Tensor weight = ramp({dtype, {out, in}});
  const Tensor bias = ramp({dtype, {out}});
  const auto weights = host().prepare_linear(weight, &bias, dtype);
  const Tensor input = ramp({dtype, {rows, in}});
  const Tensor output = allocate(host(), {dtype, {rows, out}});
  count(std::string("linear ") + dtype_name(dtype) + suffix, [&](Queue& queue) {
    LinearArgs args;
    args.input = input;
    args.weights = weights.get();
    args.activation = activation;
    args.output = LinearOutput::dense(output);
    queue.linear(args);
  });
}

void count_timesteps(DType dtype) {
  const Sinusoids sinusoids{std::vector<float>(128, 0.37F), 1, false, 256};
  const Tensor timesteps = ramp({DType::kFloat32, {16}});
  const Tensor output = allocate(host(), {dtype, {16, 256}});
  count(std::string("timestep_projection ") + dtype_name(dtype), [&](Queue& queue) {
    TimestepProjectionArgs args;
    args.timesteps = timesteps;
    args.sinusoids = &sinusoids;
    args.output = output;
    queue.timestep_projection(args);
  });
}

void count_rows(DType dtype) {
  const Tensor x = ramp({dtype, {64, 288}});
  count(std::string("layer_norm ") + dtype_name(dtype),
        [&](Queue& queue) { queue.layer_norm({.x = x}); });
  const Tensor wide = allocate(host(), {DType::kFloat32, {64, 288}});
  count(std::string("convert ") + dtype_name(dtype) + " to float32",
        [&](Queue& queue) { queue.convert(x, wide); });
}

}  // namespace

int main() {
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    count_patches(dtype, 4, 2, false, " p=2 C=4");
    count_patches(dtype, 4, 2, true, " p=2 C=4 layer_norm");
    count_patches(dtype, 3, 8, false, " p=8 C=3");
    count_linear(dtype, 2, Activation::kSilu, " 2 rows silu");
    count_linear(dtype, 64, Activation::kNone, " 64 rows");
    count_linear(dtype, 64, Activation::kGeluTanh, " 64 rows gelu_tanh");
    count_timesteps(dtype);
    count_rows(dtype);
  }
#if defined(__aarch64__)
  // At Latte-XL's sizes: how many of the instructions are multiply-adds (docs/benchmarks.md).
  count_patches(DType::kFloat32, 4, 2, false, " 32x32 to 1152", 1, 32, 1152);
  count_linear(DType::kFloat32, 120, Activation::kGeluTanh, " 120x512 to 1152", 512, 1152);
  count_linear(DType::kFloat32, 120, Activation::kNone, " 120x1152 to 1152", 1152, 1152);
  print_names();
#endif
  std::printf("%s\n", host().info().instruction_set.c_str());
  return 0;
}
