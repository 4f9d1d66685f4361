// The device interface: memory, an in-order queue, and the operations that layers are made of.
// Layers are written over it once; a device implements it (backend/cpu, backend/ascend).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/position_table.h"
#include "core/tensor_view.h"

namespace latte {

class Device;

/// Memory of a device, given back when the last reference goes.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual void* data() const = 0;
  virtual size_t bytes() const = 0;
  /// Optional. Called inside a work, before it uses the memory. If another stream is still writing
  /// this memory, makes the work's queue wait for it. Throws if it cannot wait.
  virtual void await_content() {}
};

/// A tensor that keeps its memory alive. `buffer` is null if the memory belongs to the caller.
struct Tensor : TensorView {
  std::shared_ptr<Buffer> buffer;
  Device* device = nullptr;  // whose memory it is; null: the caller's, on the host
};

/// The formulas are those of torch.nn: kGelu is the exact (erf) form, kGeluTanh the tanh form.
enum class Activation { kNone, kSilu, kGelu, kGeluTanh, kRelu, kMish };

/// Weights [out_features, in_features] (and bias) in a device's own layout.
class LinearWeights {
 public:
  virtual ~LinearWeights() = default;
  int64_t in_features = 0;
  int64_t out_features = 0;
  DType dtype = DType::kFloat32;
  bool has_bias = false;
  /// The weights and the bias as they came (rounded to `dtype`), in host memory.
  virtual void unpack(void* weight, void* bias) const = 0;
};

/// A position table in a device's own layout.
class PreparedPositions {
 public:
  virtual ~PreparedPositions() = default;
};

/// Latents [outer, C, inner, H, W]: the frames of a video are read in place. Strides count
/// elements.
struct LatentView {
  const void* data = nullptr;
  DType dtype = DType::kFloat32;
  int64_t outer = 0, inner = 1, channels = 0, height = 0, width = 0;
  int64_t outer_stride = 0, inner_stride = 0, channel_stride = 0;
};

/// The frames, rows and columns of pixels that become one token.
struct PatchSize {
  int64_t frames = 1, height = 0, width = 0;

  int64_t pixels() const { return frames * height * width; }
};

/// An image is `patch.frames` frames: the latent has outer·⌊inner/frames⌋ images. Each image has
/// h·w tokens with h = ⌊H/height⌋ and w = ⌊W/width⌋. Remainders of frames, rows and columns are
/// dropped.
struct PatchProjectionArgs {
  LatentView latent;  // of the weights' dtype
  PatchSize patch;
  const LinearWeights* weights = nullptr;        // [dim, C·frames·height·width]
  const PreparedPositions* positions = nullptr;  // of h·w tokens; null: none is added
  bool layer_norm = false;                       // over dim, without weight and bias
  double epsilon = 1e-6;                         // of the layer norm
  bool channels_first = false;                   // output [images, dim, h·w]; takes no positions
  TensorView output;  // [images, h·w, dim], dense, of the weights' dtype

  int64_t images() const { return latent.outer * (latent.inner / patch.frames); }
  int64_t token_rows() const { return latent.height / patch.height; }
  int64_t token_columns() const { return latent.width / patch.width; }
};

/// Where the rows of a [rows, features] result go: row i = (o, n) of a [outer, inner_rows] grid
/// begins at data + o·outer_stride + n·inner_stride.
struct LinearOutput {
  void* data = nullptr;  // of the weights' dtype
  int64_t inner_rows = 1;
  int64_t outer_stride = 0, inner_stride = 0;  // in elements
  bool accumulate = false;                     // adds to what is there, instead of replacing it

  /// The rows of a dense tensor [..., features].
  static LinearOutput dense(const TensorView& to) {
    return {to.data, 1, to.shape.back(), 0, false};
  }
};

struct LinearArgs {
  TensorView input;  // [rows, in_features], dense, of the weights' dtype
  const LinearWeights* weights = nullptr;
  Activation input_activation = Activation::kNone;  // of the input, rounded to its dtype
  Activation activation = Activation::kNone;        // of the result, before `accumulate`
  LinearOutput output;

  int64_t rows() const { return input.shape[0]; }
};

/// How a number becomes sines and cosines of number·frequency·scale. In host memory.
struct Sinusoids {
  std::vector<float> frequencies;  // [dim/2]
  float scale = 1;
  bool flip_sin_to_cos = false;  // [cos | sin] instead of [sin | cos]
  int64_t dim = 0;               // an odd dim ends in a zero column
};

struct TimestepProjectionArgs {
  TensorView timesteps;  // [count], float32
  const Sinusoids* sinusoids = nullptr;
  TensorView output;  // [count, dim], dense, of any layer dtype

  int64_t count() const { return timesteps.shape[0]; }
};

/// Normalises each row of x in place: x = (x − mean)/√(variance + epsilon)·weight + bias, in
/// float32 inside.
struct LayerNormArgs {
  TensorView x;                                      // [..., dim], dense, of any layer dtype
  std::optional<TensorView> weight = {}, bias = {};  // [dim], float32; none: 1 and 0
  double epsilon = 1e-6;
};

/// The embedding of a timestep, to which those of numbers beside it are added: value v of all sizes
/// is embedded into channels [v·s, (v+1)·s). Each embedding is two linears on a sinusoid.
struct ConditionEmbeddingArgs {
  struct Size {
    TensorView numbers;  // [rows, values]: sample b uses row (b mod rows)
    int64_t values = 0;
    const LinearWeights *linear_1 = nullptr, *linear_2 = nullptr;  // to s features
  };
  TensorView timesteps;  // [1], which serves all samples, or [batch]
  const LinearWeights *linear_1 = nullptr, *linear_2 = nullptr;  // to dim features
  std::vector<Size> sizes;
  const Sinusoids* sinusoids = nullptr;
  Activation activation = Activation::kNone;  // between the linears
  TensorView output;                          // [batch, dim], dense, of the weights' dtype

  int64_t batch() const { return output.shape[0]; }
};

/// Work in order on one device. Used by one thread at a time. Tensors are in the device's memory
/// unless a function names the host. Every operation may be asynchronous: results are there, and
/// errors are known, when the work that was given the queue is done (see Device::submit). Scratch
/// memory lives until then.
class Queue {
 public:
  virtual ~Queue() = default;
  virtual void* scratch(size_t bytes) = 0;
  TensorView scratch_tensor(const TensorSpec& spec) { return {spec, scratch(spec.bytes())}; }
  /// A host tensor in the device's memory, for this queue's operations. The host's copy must stay
  /// as it is until the work is done. On a device whose memory is the host's: the tensor itself.
  virtual TensorView upload(const TensorView& host) = 0;
  /// Copies a tensor of the device to the host. The bytes are there when the work is done.
  virtual void download(const TensorView& from, void* host) = 0;
  virtual void fill_zero(const TensorView& to) = 0;

  // The operations. Each has a file of its name in every device's folder.
  virtual void timestep_projection(const TimestepProjectionArgs& args) = 0;
  virtual void patch_projection(const PatchProjectionArgs& args) = 0;
  virtual void linear(const LinearArgs& args) = 0;
  virtual void layer_norm(const LayerNormArgs& args) = 0;
  /// out = a + b with numpy's broadcasting; out has the broadcast shape and a's dtype, b is
  /// float32.
  virtual void add(const TensorView& a, const TensorView& b, const TensorView& out) = 0;
  /// Any dtype to any other, rounding once; sizes are equal. Equal dtypes: copies.
  virtual void convert(const TensorView& from, const TensorView& to) = 0;

  // Optional operations. A device implements one if it computes the whole faster than its parts.
  // The first two return false if they queued nothing: the caller then queues the parts.

  /// All parts of a condition embedding at once, for devices on which starting an operation costs
  /// more than these small products.
  virtual bool condition_embedding(const ConditionEmbeddingArgs&) { return false; }
  /// Two linears at once: `second` takes the output of `first`. first.output and second.input are
  /// not used.
  virtual bool linear_pair(const LinearArgs& /*first*/, const LinearArgs& /*second*/) {
    return false;
  }
  /// to [rows·times, …] gets each row of `from` [rows, …] `times` times, one behind the other.
  /// Equal dtypes. By default: one copy per row of `to`.
  virtual void repeat_rows(const TensorView& from, int64_t times, const TensorView& to);
};

struct DeviceInfo {
  std::string name;  // 'cpu', 'npu:0' …
  std::string kind;  // 'cpu' or 'npu'
  std::string instruction_set;
  int threads = 0;
  std::string soc;
  struct Memory {
    size_t free = 0;
    size_t total = 0;
  };
  std::optional<Memory> memory;  // none: the device is not open
};

/// The memory that a device's tensors take, in bytes.
struct MemoryUsage {
  size_t live = 0;    // held by tensors
  size_t pooled = 0;  // free, and kept for the next tensors
  size_t limit = 0;   // the most that `live` may become
};

/// Asks a work to end early; queues look at it between pieces of work and throw ERR_ABORTED.
using CancelFlag = std::atomic<bool>;

/// One piece of work for a device. The device and whoever waits for the work share it: the device
/// keeps its reference until finish() has returned.
class Work {
 public:
  virtual ~Work() = default;

  /// Gives the work's operations to the queue. What it throws fails this work alone.
  virtual void run(Queue& queue) = 0;

  /// For devices: called exactly once for each work that submit() took, when all that run() gave
  /// the queue is done or has failed, or when the device will not run the work.
  void finish(const std::optional<Error>& outcome) noexcept {
    error = outcome;
    done();
  }

  /// Asks the device to end the work early.
  void cancel() { cancelled.store(true, std::memory_order_relaxed); }

  CancelFlag cancelled{false};
  std::optional<Error> error;  // what the work failed with; written before done() is called

 protected:
  /// The work has ended. Called on the thread that ended it.
  virtual void done() noexcept = 0;
};

class Device {
 public:
  virtual ~Device() = default;
  /// 'cpu', 'npu:0' …
  virtual const std::string& name() const = 0;
  virtual DeviceInfo info() const = 0;
  virtual MemoryUsage memory_usage() const = 0;
  /// Throws ERR_DTYPE if layers cannot compute in `dtype` here.
  virtual void check_dtype(DType dtype) const = 0;
  /// Memory aligned for every kernel; its content is undefined. Throws ERR_OUT_OF_MEMORY.
  virtual std::shared_ptr<Buffer> allocate(size_t bytes) = 0;
  /// Optional; by default throws ERR_VALUE. Memory of this device that somebody else owns, as a
  /// buffer that never frees it. `event` (of the device's runtime; null: none) is one after which
  /// its content is there; await_content() waits for it. Makes no call to the device.
  virtual std::shared_ptr<Buffer> borrow(void* memory, size_t bytes, void* event);
  /// Host memory for arguments of a work; if possible, memory that the device copies fast from.
  virtual std::shared_ptr<Buffer> allocate_staging(size_t bytes) = 0;
  /// Whether submit() runs a work on the calling thread and returns when it is done. If not, the
  /// device has a thread of its own: works run there in the order of their submission, done() is
  /// called there, and submit() returns at once.
  virtual bool runs_on_caller() const = 0;
  /// If submit() throws, the work was not taken: it neither runs nor finishes.
  virtual void submit(std::shared_ptr<Work> work) = 0;
  /// Optional. Finishes now what was cancelled before it ran, and would have had to wait for the
  /// works before it, or for the opening.
  virtual void drop_cancelled() noexcept {}
  /// Copies at once, on whichever thread; the calling thread waits.
  virtual void copy_in(void* device, const void* host, size_t bytes) = 0;
  virtual void copy_out(void* host, const void* device, size_t bytes) = 0;
  /// `weight` [out, in, …] and `bias` [out] (or null) are host tensors of any floating dtype.
  virtual std::shared_ptr<const LinearWeights> prepare_linear(const TensorView& weight,
                                                              const TensorView* bias,
                                                              DType dtype) = 0;
  virtual std::shared_ptr<const PreparedPositions> prepare_positions(PositionTable table) = 0;
};

/// Submits a work and waits until it is done; throws what it failed with. Not to be called from
/// inside a work.
void run_and_wait(Device& device, const std::function<void(Queue&)>& run);

/// A tensor in new memory of a device.
inline Tensor allocate(Device& device, const TensorSpec& spec) {
  Tensor tensor;
  static_cast<TensorSpec&>(tensor) = spec;
  tensor.buffer = device.allocate(tensor.bytes());
  tensor.data = tensor.buffer->data();
  tensor.device = &device;
  return tensor;
}

}  // namespace latte
