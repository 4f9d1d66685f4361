// condition_embedding as two products. The first multiplies the sinusoids of a sample's numbers,
// side by side, by a matrix whose diagonal blocks are all first linears. The second multiplies the
// result by the second linears, stacked, and so adds their results. The zeros between the blocks
// cost a few MB of memory and microseconds of reading; they save about ten launches.
//
// linear_pair is here, too. In bfloat16 both operations may fold the biases into the weights.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "backend/ascend/queue.h"
#include "core/dtype.h"

namespace latte::ascend {

namespace {

/// Beyond these the zeros cost more than the launches that they save.
constexpr int64_t kMostSamples = 256;
constexpr size_t kMostBytes = size_t{64} << 20;

using Ascend = AscendLinearWeights;

const Ascend& ascend(const LinearWeights* weights) { return static_cast<const Ascend&>(*weights); }

size_t elements(int64_t rows, int64_t columns) { return static_cast<size_t>(rows * columns); }

/// Whether the biases are folded into the weights. CANN converts the bias of a bfloat16 product to
/// float32 by one more kernel each time (docs/ascend-operations.md). Instead the biases become
/// columns of the weights, and a sample gets one more number: 0, whose cosines, 1, select them.
bool folds_biases(const ConditionEmbeddingArgs& args) {
  return args.linear_1->dtype == DType::kBFloat16 && args.activation == Activation::kSilu &&
         args.sinusoids->dim >= 2;
}

/// SiLU(1.28125) = 1.0026, which bfloat16 rounds to 1: the hidden feature that selects the second
/// bias.
constexpr float kSiluMakesOne = 1.28125F;
/// Features that are added for a folded bias. One of them is used; 16 keep rows aligned to 32
/// bytes.
constexpr int64_t kBeside = 16;

/// How many numbers a sample has: the timestep, the sizes, and a 0 if the biases are folded.
int64_t numbers_of(const ConditionEmbeddingArgs& args) {
  int64_t numbers = folds_biases(args) ? 2 : 1;
  for (const auto& size : args.sizes) numbers += size.values;
  return numbers;
}

/// The cache of linears that were merged with `first`. Emptied first if the device was reset since.
auto& merged_with(const Ascend& first, uint64_t resets) {
  if (first.merged_resets != resets) first.merged.clear();
  first.merged_resets = resets;
  return first.merged;
}

/// Text for a part's key: a word, and numbers on which its launches depend.
std::string part_key(const char* what, std::initializer_list<int64_t> numbers) {
  std::string key = what;
  for (const int64_t number : numbers) key += ' ' + std::to_string(number);
  return key;
}

}  // namespace

/// A linear on the host, in float32. Merged linears are assembled here.
struct HostLinear {
  explicit HostLinear(int64_t out, int64_t in)
      : out_features(out), in_features(in), weight(elements(out, in)), bias(elements(out, 1)) {}

  static void convert_to(Device& device, DType dtype, std::span<const float> from, void* to) {
    const Shape shape = {static_cast<int64_t>(from.size())};
    const TensorView source{{DType::kFloat32, shape}, const_cast<float*>(from.data())};
    run_and_wait(device, [&](Queue& queue) { queue.convert(source, {{dtype, shape}, to}); });
  }

  static HostLinear of(Device& device, const LinearWeights& weights) {
    HostLinear host(weights.out_features, weights.in_features);
    const size_t item = item_size(weights.dtype);
    std::vector<std::byte> weight(host.weight.size() * item), bias(host.bias.size() * item);
    weights.unpack(weight.data(), bias.data());
    const auto to_floats = [&](std::vector<std::byte>& from, std::vector<float>& to) {
      const Shape shape = {static_cast<int64_t>(to.size())};
      run_and_wait(device, [&](Queue& queue) {
        queue.convert({{weights.dtype, shape}, from.data()}, {{DType::kFloat32, shape}, to.data()});
      });
    };
    to_floats(weight, host.weight);
    if (weights.has_bias) to_floats(bias, host.bias);
    return host;
  }

  /// Copies a linear's weight to this row and column, and adds its bias to the bias.
  void put(const HostLinear& block, int64_t row, int64_t column) {
    for (int64_t i = 0; i < block.out_features; ++i) {
      std::copy_n(&block.weight[elements(i, block.in_features)], block.in_features,
                  &weight[elements(row + i, in_features) + static_cast<size_t>(column)]);
      bias[static_cast<size_t>(row + i)] += block.bias[static_cast<size_t>(i)];
    }
  }

  /// Moves the bias into a column of the weight; the input of that column has to be 1.
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

const MergedLinears* AscendQueue::merged_linears(const ConditionEmbeddingArgs& args) {
  const Ascend& timestep = ascend(args.linear_1);
  const bool folds = folds_biases(args);
  const auto cosines_first = static_cast<uint64_t>(args.sinusoids->flip_sin_to_cos);
  std::vector<uint64_t> ids = {ascend(args.linear_2).id, folds ? 1 + cosines_first : 0};
  for (const auto& size : args.sizes) {
    ids.push_back(ascend(size.linear_1).id);
    ids.push_back(ascend(size.linear_2).id);
    ids.push_back(static_cast<uint64_t>(size.values));
  }
  auto& known = merged_with(timestep, resources_.resets);
  if (const auto found = known.find(ids); found != known.end()) return found->second.get();

  const int64_t channels = args.sinusoids->dim, dim = timestep.out_features;
  const int64_t inputs = channels * numbers_of(args);
  int64_t hidden = dim + (folds ? kBeside : 0);
  for (const auto& size : args.sizes) hidden += size.values * size.linear_1->out_features;
  const size_t bytes = (elements(hidden, inputs) + elements(args.linear_2->out_features, hidden)) *
                       item_size(timestep.dtype);
  if (bytes > kMostBytes) return nullptr;
  HostLinear first(hidden, inputs);
  HostLinear second(args.linear_2->out_features, hidden);
  first.put(HostLinear::of(resources_.host, *args.linear_1), 0, 0);
  second.put(HostLinear::of(resources_.host, *args.linear_2), 0, 0);
  int64_t hidden_row = dim, column = channels, channel = 0;
  for (const auto& size : args.sizes) {
    const HostLinear size_first = HostLinear::of(resources_.host, *size.linear_1);
    const HostLinear size_second = HostLinear::of(resources_.host, *size.linear_2);
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
    first.fold_bias(column + (args.sinusoids->flip_sin_to_cos ? 0 : channels / 2));
    second.fold_bias(hidden_row);
  }

  return known.emplace(std::move(ids), to_device(timestep, first, second)).first->second.get();
}

const MergedLinears* AscendQueue::folded_linears(const Ascend& first, const Ascend& second) {
  // Distinguishes this entry from those of merged_linears(), which have 0, 1 or 2 here.
  constexpr uint64_t kPair = 3;
  std::vector<uint64_t> ids = {second.id, kPair};
  auto& known = merged_with(first, resources_.resets);
  if (const auto found = known.find(ids); found != known.end()) return found->second.get();
  const int64_t inputs = first.in_features, hidden = first.out_features;
  const size_t count = elements(hidden + kBeside, inputs + kBeside) +
                       elements(second.out_features, hidden + kBeside);
  if (count * item_size(first.dtype) > kMostBytes) return nullptr;
  HostLinear wide_first(hidden + kBeside, inputs + kBeside);
  HostLinear wide_second(second.out_features, hidden + kBeside);
  wide_first.put(HostLinear::of(resources_.host, first), 0, 0);
  wide_first.bias[static_cast<size_t>(hidden)] = kSiluMakesOne;
  wide_first.fold_bias(inputs);
  wide_second.put(HostLinear::of(resources_.host, second), 0, 0);
  wide_second.fold_bias(hidden);
  return known.emplace(std::move(ids), to_device(first, wide_first, wide_second))
      .first->second.get();
}

std::shared_ptr<const MergedLinears> AscendQueue::to_device(const Ascend& like,
                                                            const HostLinear& first,
                                                            const HostLinear& second) {
  auto merged = std::make_shared<MergedLinears>();
  const auto copy = [&](const HostLinear& host, AscendLinearWeights& weights) {
    weights.device = like.device;
    weights.dtype = like.dtype;
    weights.out_features = host.out_features;
    weights.in_features = host.in_features;
    weights.has_bias = host.has_bias;
    const auto copied = [&](const std::vector<float>& from) {
      const TensorSpec spec{weights.dtype, {static_cast<int64_t>(from.size())}};
      std::byte* rounded = staging(spec.bytes());
      HostLinear::convert_to(resources_.host, weights.dtype, from, rounded);
      auto buffer = resources_.memory.allocate(spec.bytes());
      copy_to_device({spec, buffer->data()}, rounded);
      return buffer;
    };
    weights.weight = copied(host.weight);
    if (host.has_bias) weights.bias = copied(host.bias);
  };
  copy(first, merged->first);
  copy(second, merged->second);
  return merged;
}

bool AscendQueue::linear_pair(const LinearArgs& first, const LinearArgs& second) {
  const int64_t rows = first.rows();
  if (rows == 0 || rows > kMostSamples) return false;
  const Ascend &weights_1 = ascend(first.weights), &weights_2 = ascend(second.weights);
  const DType dtype = weights_1.dtype;
  const LinearOutput& result = second.output;
  const int64_t features = weights_2.out_features;
  ReplayedPart part;
  part.weights = {&weights_1, &weights_2};
  part.output = {{dtype, {rows, features}}, result.data};
  part.input = first.input;
  part.device = first.input.data;
  part.host = uploads_.host_copy(part.device, part.input.bytes());
  const MergedLinears* folded = nullptr;
  if (part.host != nullptr) {
    folded = folded_for(first, second, static_cast<const uint16_t*>(part.host));
  }
  const bool dense = result.inner_rows == 1 && result.outer_stride == features;
  const bool replays = resources_.graphs.on() && dense && !result.accumulate;
  if (folded == nullptr && !replays) return false;
  if (folded != nullptr) {
    part.host = widened(static_cast<const uint16_t*>(part.host), rows, weights_1.in_features);
    part.device = nullptr;
    part.input.shape[1] += kBeside;
  }
  const Ascend& used_1 = folded == nullptr ? weights_1 : folded->first;
  const Ascend& used_2 = folded == nullptr ? weights_2 : folded->second;
  part.launch = [&](void* input, void* output) {
    LinearArgs pair_1 = first, pair_2 = second;
    pair_1.input = {{dtype, {rows, used_1.in_features}}, input};
    pair_1.weights = &used_1;
    pair_2.input = scratch_tensor({dtype, {rows, used_1.out_features}});
    pair_1.output = LinearOutput::dense(pair_2.input);
    linear(pair_1);
    pair_2.weights = &used_2;
    pair_2.output.data = output;
    linear(pair_2);
  };
  if (!replays) {
    run_launches(part, /*scratch_sizes=*/nullptr);
    return true;
  }
  const auto number = [](Activation activation) { return static_cast<int64_t>(activation); };
  part.key = part_key("pair",
                      {static_cast<int64_t>(weights_1.id), static_cast<int64_t>(weights_2.id), rows,
                       folded != nullptr, number(first.input_activation), number(first.activation),
                       number(second.input_activation), number(second.activation)});
  run_part(part);
  return true;
}

const MergedLinears* AscendQueue::folded_for(const LinearArgs& first, const LinearArgs& second,
                                             const uint16_t* samples) {
  const Ascend &weights_1 = ascend(first.weights), &weights_2 = ascend(second.weights);
  if (weights_1.dtype != DType::kBFloat16 || !weights_1.has_bias || !weights_2.has_bias ||
      first.activation != Activation::kSilu || first.input_activation != Activation::kNone ||
      second.input_activation != Activation::kNone) {
    return nullptr;
  }
  // A folded bias needs an exact 1 as its input. In a row with an infinity or NaN that input would
  // be 0·∞ = NaN.
  const auto finite = [](uint16_t bits) { return std::isfinite(bfloat_to_float(bits)); };
  if (!std::all_of(samples, samples + elements(first.rows(), weights_1.in_features), finite)) {
    return nullptr;
  }
  return folded_linears(weights_1, weights_2);
}

const void* AscendQueue::widened(const uint16_t* samples, int64_t rows, int64_t width) {
  const auto columns = static_cast<size_t>(width);
  std::byte* wide = staging(elements(rows, width + kBeside) * sizeof(uint16_t));
  auto* row = reinterpret_cast<uint16_t*>(wide);
  for (int64_t i = 0; i < rows; ++i, row += columns + kBeside, samples += columns) {
    std::fill(std::copy_n(samples, columns, row), row + columns + kBeside, uint16_t{0});
    row[columns] = float_to_bfloat(1);
  }
  return wide;
}

bool AscendQueue::condition_embedding(const ConditionEmbeddingArgs& args) {
  if (args.batch() == 0 || args.batch() > kMostSamples) return false;
  // A timestep alone has nothing to be merged with. It still gains from being replayed.
  const bool merges = !args.sizes.empty() || folds_biases(args);
  if (!merges && !resources_.graphs.on()) return false;
  // The numbers of an input, as float32; empty if the host has no copy of them. On the device each
  // input would need an operation to arrange its numbers.
  const auto host_floats = [&](const TensorView& numbers) {
    std::vector<float> floats(static_cast<size_t>(numbers.size()));
    const void* host = uploads_.host_copy(numbers.data, numbers.bytes());
    if (host == nullptr) return std::vector<float>();
    run_and_wait(resources_.host, [&](Queue& queue) {
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
    // Between the blocks, 0·NaN is NaN: it would spread to the channels of other numbers.
    const bool finite = std::all_of(columns[i].begin(), columns[i].end(),
                                    [](float number) { return std::isfinite(number); });
    if (!finite) return false;
  }
  const MergedLinears* merged = merges ? merged_linears(args) : nullptr;
  if (merges && merged == nullptr) return false;
  const Ascend& linear_1 = merges ? merged->first : ascend(args.linear_1);
  const Ascend& linear_2 = merges ? merged->second : ascend(args.linear_2);

  // [batch, width]: the numbers of a sample side by side.
  const int64_t width = numbers_of(args), batch = args.batch(), count = batch * width;
  std::vector<float> numbers(elements(count, 1));
  for (int64_t sample = 0; sample < batch; ++sample) {
    float* next = &numbers[elements(sample, width)];
    *next++ = columns[0][static_cast<size_t>(sample) * columns[0].size() / elements(batch, 1)];
    for (size_t i = 1; i < columns.size(); ++i) {
      for (int64_t value = 0; value < values[i]; ++value) {
        *next++ = columns[i][static_cast<size_t>(sample * values[i] + value) % columns[i].size()];
      }
    }
  }

  const DType dtype = linear_1.dtype;
  const int64_t channels = args.sinusoids->dim;
  const auto run_linears = [&](void* sinusoids, void* output) {
    LinearArgs first, second;
    first.input = {{dtype, {batch, width * channels}}, sinusoids};
    first.weights = &linear_1;
    first.activation = args.activation;
    second.input = scratch_tensor({dtype, {batch, linear_1.out_features}});
    first.output = LinearOutput::dense(second.input);
    linear(first);
    second.weights = &linear_2;
    second.output = LinearOutput::dense({{dtype, {batch, linear_2.out_features}}, output});
    linear(second);
  };
  TimestepProjectionArgs projection;
  projection.timesteps = {{DType::kFloat32, {count}}, nullptr};
  projection.sinusoids = args.sinusoids;
  projection.output = {{dtype, {count, channels}}, nullptr};
  const auto project_and_run = [&](void* timesteps, void* output) {
    projection.timesteps.data = timesteps;
    projection.output = scratch_tensor(projection.output);
    timestep_projection(projection);
    run_linears(projection.output.data, output);
  };

  ReplayedPart part;
  part.output = args.output;
  const bool by_kernel = projects_by_kernel(projection);
  if (by_kernel || !projects_on_host(projection)) {
    part.input = projection.timesteps;
    part.host = copied_to_staging(numbers);
    part.launch = project_and_run;
  } else {
    part.input = {dtype, {batch, width * channels}};
    part.host = sinusoids_on_host(projection, numbers);
    part.launch = run_linears;
  }
  if (!by_kernel && !projects_on_host(projection)) {
    // Here timestep_projection() chooses its operations by the values of the numbers, so its
    // launches cannot be replayed with others.
    run_launches(part, /*scratch_sizes=*/nullptr);
    return true;
  }
  part.weights = {&ascend(args.linear_1), &ascend(args.linear_2)};
  part.key = part_key("embedding", {batch, by_kernel, channels, args.sinusoids->flip_sin_to_cos,
                                    static_cast<int64_t>(args.activation)});
  for (const auto& size : args.sizes) {
    part.weights.push_back(&ascend(size.linear_1));
    part.weights.push_back(&ascend(size.linear_2));
    part.key += part_key(" +", {size.values});
  }
  for (const Ascend* used : part.weights) part.key += ' ' + std::to_string(used->id);
  const auto append = [&](const float* values, size_t number) {
    part.key.append(reinterpret_cast<const char*>(values), number * sizeof(float));
  };
  append(&args.sinusoids->scale, 1);
  append(args.sinusoids->frequencies.data(), args.sinusoids->frequencies.size());
  run_part(part);
  return true;
}

}  // namespace latte::ascend
