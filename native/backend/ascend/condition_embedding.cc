// The condition embedding as two products: the sinusoids of a sample's numbers side by side, times
// all first linears as blocks of one matrix, and the same for the second ones, whose sum the
// product itself makes. The zeros between the blocks cost a few MB of memory and microseconds of
// reading; they save about ten launches.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "backend/ascend/queue.h"
#include "backend/registry.h"

namespace latte::ascend {

namespace {

/// Beyond these the zeros cost more than launches do.
constexpr int64_t kMostSamples = 256;
constexpr size_t kMostBytes = size_t{64} << 20;

using Ascend = AscendLinearWeights;

const Ascend& ascend(const LinearWeights* weights) { return static_cast<const Ascend&>(*weights); }

size_t elements(int64_t rows, int64_t columns) { return static_cast<size_t>(rows * columns); }

/// A linear on the host, in float32: its blocks are put together there.
struct HostLinear {
  explicit HostLinear(int64_t out, int64_t in)
      : out_features(out), in_features(in), weight(elements(out, in)), bias(elements(out, 1)) {}

  void convert_to(DType dtype, std::span<const float> from, void* to) const {
    const Shape shape = {static_cast<int64_t>(from.size())};
    const TensorView source{{DType::kFloat32, shape}, const_cast<float*>(from.data())};
    run_and_wait(open_device("cpu"), [&](Queue& queue) {
      queue.convert(source, {{dtype, shape}, to});
    });
  }

  static HostLinear of(const LinearWeights& weights) {
    HostLinear host(weights.out_features, weights.in_features);
    const size_t item = item_size(weights.dtype);
    std::vector<std::byte> weight(host.weight.size() * item), bias(host.bias.size() * item);
    weights.unpack(weight.data(), bias.data());
    const auto to_floats = [&](std::vector<std::byte>& from, std::vector<float>& to) {
      const Shape shape = {static_cast<int64_t>(to.size())};
      run_and_wait(open_device("cpu"), [&](Queue& queue) {
        queue.convert({{weights.dtype, shape}, from.data()}, {{DType::kFloat32, shape}, to.data()});
      });
    };
    to_floats(weight, host.weight);
    if (weights.has_bias) to_floats(bias, host.bias);
    return host;
  }

  /// Puts a linear at these rows and columns; biases of the same row add up.
  void put(const HostLinear& block, int64_t row, int64_t column) {
    for (int64_t i = 0; i < block.out_features; ++i) {
      std::copy_n(&block.weight[elements(i, block.in_features)], block.in_features,
                  &weight[elements(row + i, in_features) + static_cast<size_t>(column)]);
      bias[static_cast<size_t>(row + i)] += block.bias[static_cast<size_t>(i)];
    }
  }

  /// Makes the bias a column of the weight, whose input has to be 1.
  void fold_bias(int64_t column) {
    for (int64_t i = 0; i < out_features; ++i) {
      weight[elements(i, in_features) + static_cast<size_t>(column)] = bias[static_cast<size_t>(i)];
    }
    has_bias = false;
  }

  int64_t out_features, in_features;
  bool has_bias = true;
  std::vector<float> weight, bias;
};

/// A bfloat16 product takes its bias as float32, by a kernel each time (docs/ascend-operations.md).
/// So the biases are columns of the weights instead, and a sample has one number more: 0, whose
/// cosines are 1.
bool folds_biases(const ConditionEmbeddingArgs& args) {
  return args.linear_1->dtype == DType::kBFloat16 && args.activation == Activation::kSilu &&
         args.projection.dim >= 2;
}

/// SiLU(1.28125) is 1.0026, in bfloat16 1: what multiplies the second bias.
constexpr float kSiluMakesOne = 1.28125F;
/// Features of the hidden layer beside: one is used, and the rows stay aligned to 32 bytes.
constexpr int64_t kHiddenBeside = 16;

/// Of a sample: the timestep, the sizes', and 0 if the biases are folded.
int64_t numbers_of(const ConditionEmbeddingArgs& args) {
  int64_t numbers = folds_biases(args) ? 2 : 1;
  for (const auto& size : args.sizes) numbers += size.values;
  return numbers;
}

}  // namespace

const MergedLinears* AscendQueue::merged_linears(const ConditionEmbeddingArgs& args) {
  const Ascend& timestep = ascend(args.linear_1);
  const bool folds = folds_biases(args);
  const auto cosines_first = static_cast<uint64_t>(args.projection.flip_sin_to_cos);
  std::vector<uint64_t> ids = {ascend(args.linear_2).id, folds ? 1 + cosines_first : 0};
  for (const auto& size : args.sizes) {
    ids.push_back(ascend(size.linear_1).id);
    ids.push_back(ascend(size.linear_2).id);
    ids.push_back(static_cast<uint64_t>(size.values));
  }
  if (timestep.merged_resets != resources_.resets) timestep.merged.clear();
  timestep.merged_resets = resources_.resets;
  if (const auto found = timestep.merged.find(ids); found != timestep.merged.end()) {
    return found->second.get();
  }

  const int64_t channels = args.projection.dim, dim = timestep.out_features;
  const int64_t inputs = channels * numbers_of(args);
  int64_t hidden = dim + (folds ? kHiddenBeside : 0);
  for (const auto& size : args.sizes) hidden += size.values * size.linear_1->out_features;
  const size_t bytes = (elements(hidden, inputs) + elements(args.linear_2->out_features, hidden)) *
                       item_size(timestep.dtype);
  if (bytes > kMostBytes) return nullptr;
  HostLinear first(hidden, inputs);
  HostLinear second(args.linear_2->out_features, hidden);
  first.put(HostLinear::of(*args.linear_1), 0, 0);
  second.put(HostLinear::of(*args.linear_2), 0, 0);
  int64_t hidden_row = dim, column = channels, channel = 0;
  for (const auto& size : args.sizes) {
    const HostLinear size_first = HostLinear::of(*size.linear_1);
    const HostLinear size_second = HostLinear::of(*size.linear_2);
    for (int64_t value = 0; value < size.values; ++value) {
      first.put(size_first, hidden_row, column);
      second.put(size_second, channel, hidden_row);
      hidden_row += size_first.out_features;
      column += channels;
      channel += size_second.out_features;
    }
  }
  if (folds) {
    first.bias[static_cast<size_t>(hidden_row)] = kSiluMakesOne;
    first.fold_bias(column + (args.projection.flip_sin_to_cos ? 0 : channels / 2));
    second.fold_bias(hidden_row);
  }

  auto merged = std::make_shared<MergedLinears>();
  const auto to_device = [&](const HostLinear& host, AscendLinearWeights& weights) {
    weights.device = timestep.device;
    weights.dtype = timestep.dtype;
    weights.out_features = host.out_features;
    weights.in_features = host.in_features;
    weights.has_bias = host.has_bias;
    const auto copied = [&](const std::vector<float>& from) {
      const TensorSpec spec{weights.dtype, {static_cast<int64_t>(from.size())}};
      std::byte* rounded = staging(spec.bytes());
      host.convert_to(weights.dtype, from, rounded);
      auto buffer = resources_.memory.allocate(spec.bytes());
      copy_to_device({spec, buffer->data()}, rounded);
      return buffer;
    };
    weights.weight = copied(host.weight);
    if (host.has_bias) weights.bias = copied(host.bias);
  };
  to_device(first, merged->first);
  to_device(second, merged->second);
  return timestep.merged.emplace(std::move(ids), std::move(merged)).first->second.get();
}

bool AscendQueue::condition_embedding(const ConditionEmbeddingArgs& args) {
  if (args.batch == 0 || args.batch > kMostSamples) return false;
  // One embedding has nothing to merge with.
  if (args.sizes.empty() && !folds_biases(args)) return false;
  // Numbers that only the device knows would have to be gathered there, by an operation each.
  const auto host_floats = [&](const TensorView& numbers) {
    std::vector<float> floats(static_cast<size_t>(numbers.size()));
    const void* host = uploads_.host_copy(numbers.data, numbers.bytes());
    if (host == nullptr) return std::vector<float>();
    run_and_wait(open_device("cpu"), [&](Queue& queue) {
      queue.convert({numbers, const_cast<void*>(host)},
                    {{DType::kFloat32, numbers.shape}, floats.data()});
    });
    return floats;
  };
  std::vector<std::vector<float>> columns = {host_floats(args.timesteps)};
  std::vector<int64_t> values = {1};
  for (const auto& size : args.sizes) {
    columns.push_back(host_floats(size.numbers));
    values.push_back(size.values);
  }
  for (size_t i = 0; i < columns.size(); ++i) {
    if (values[i] > 0 && columns[i].empty()) return false;
    // A zero between the blocks times NaN would be NaN in the channels of other numbers, too.
    const bool finite = std::all_of(columns[i].begin(), columns[i].end(),
                                    [](float number) { return std::isfinite(number); });
    if (!finite) return false;
  }
  const MergedLinears* merged = merged_linears(args);
  if (merged == nullptr) return false;

  // A sample's numbers side by side.
  const int64_t width = numbers_of(args), count = args.batch * width;
  auto* numbers = reinterpret_cast<float*>(staging(elements(count, 1) * sizeof(float)));
  std::fill_n(numbers, count, 0.0F);
  for (int64_t sample = 0; sample < args.batch; ++sample) {
    float* next = numbers + sample * width;
    for (size_t i = 0; i < columns.size(); ++i) {
      for (int64_t value = 0; value < values[i]; ++value) {
        *next++ = columns[i][static_cast<size_t>(sample * values[i] + value) % columns[i].size()];
      }
    }
  }
  TensorView uploaded{{DType::kFloat32, {count}}, nullptr};
  uploaded.data = scratch(uploaded.bytes());
  upload_later(uploaded, numbers);

  const DType dtype = merged->first.dtype;
  const auto rows = [&](int64_t features) {
    return scratch(elements(args.batch, features) * item_size(dtype));
  };
  TimestepProjectionArgs projection = args.projection;
  projection.timesteps = static_cast<const float*>(uploaded.data);
  projection.count = count;
  projection.dtype = dtype;
  projection.output = rows(width * projection.dim);
  timestep_projection(projection);
  const int64_t hidden = merged->first.out_features;
  LinearArgs first;
  first.input = projection.output;
  first.rows = args.batch;
  first.weights = &merged->first;
  first.activation = args.activation;
  first.output = LinearOutput::dense(rows(hidden), hidden);
  linear(first);
  LinearArgs second;
  second.input = first.output.data;
  second.rows = args.batch;
  second.weights = &merged->second;
  second.output = LinearOutput::dense(args.output, merged->second.out_features);
  linear(second);
  return true;
}

}  // namespace latte::ascend
