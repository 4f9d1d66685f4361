// The device interface: memory, an in-order queue, and the operations of which layers consist.
// Layers are written once over this interface. Devices implement it: backend/cpu, backend/ascend.
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

/// Memory of a device. The destructor gives it back to the device.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual void* data() const = 0;
  virtual size_t bytes() const = 0;
  /// Optional. Called inside a work, before the work uses the memory. If another stream still
  /// writes this memory, the work's queue waits for that stream. Throws if the queue cannot wait.
  virtual void await_content() {}
};

/// A tensor that keeps its memory alive. `buffer` is null if somebody else keeps the memory alive.
struct Tensor : TensorView {
  std::shared_ptr<Buffer> buffer;
  Device* device = nullptr;  // the device of the memory; null: host memory of the caller
};

/// An activation, by torch.nn's formula. kGelu is the exact (erf) form, kGeluTanh the tanh form.
enum class Activation { kNone, kSilu, kGelu, kGeluTanh, kRelu, kMish };

/// Weights [out_features, in_features] (and bias) in a device's own layout.
class LinearWeights {
 public:
  virtual ~LinearWeights() = default;
  int64_t in_features = 0;
  int64_t out_features = 0;
  DType dtype = DType::kFloat32;
  bool has_bias = false;
  /// Writes the weights [out_features, in_features] and the bias [out_features] to host memory, in
  /// `dtype`. `bias` is not used unless has_bias.
  virtual void unpack(void* weight, void* bias) const = 0;
};

/// A position table in a device's own layout.
class PreparedPositions {
 public:
  virtual ~PreparedPositions() = default;
};

/// A latent [outer, C, inner, H, W]; `inner` are the frames of a video. With strides, in elements,
/// any order of the first three axes is read in place. Each frame's [H, W] is dense.
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
/// h·w tokens with h = ⌊H/height⌋ and w = ⌊W/width⌋. Frames, rows and columns that fill no patch
/// are not read.
struct PatchProjectionArgs {
  LatentView latent;  // of the weights' dtype
  PatchSize patch;
  const LinearWeights* weights = nullptr;        // [dim, C·frames·height·width]
  const PreparedPositions* positions = nullptr;  // of h·w tokens; null: no positions are added
  bool layer_norm = false;                       // over dim, without weight and bias
  double epsilon = 1e-6;                         // of the layer norm
  bool channels_first = false;  // the output is [images, dim, h·w]; not together with positions
  TensorView output;            // [images, h·w, dim], dense, of the weights' dtype

  int64_t images() const { return latent.outer * (latent.inner / patch.frames); }
  int64_t token_rows() const { return latent.height / patch.height; }
  int64_t token_columns() const { return latent.width / patch.width; }
};

/// Where a result [rows, features] is written. With o = ⌊i / inner_rows⌋ and n = i mod inner_rows,
/// row i begins at data + o·outer_stride + n·inner_stride.
struct LinearOutput {
  void* data = nullptr;  // of the weights' dtype
  int64_t inner_rows = 1;
  int64_t outer_stride = 0, inner_stride = 0;  // in elements
  bool accumulate = false;                     // adds the result to what the memory holds

  /// The rows of a dense tensor [..., features]; replaces their content.
  static LinearOutput dense(const TensorView& to) {
    LinearOutput output;
    output.data = to.data;
    output.outer_stride = to.shape.back();
    return output;
  }
};

/// output = activation(input_activation(input)·weightᵀ + bias)
struct LinearArgs {
  TensorView input;  // [rows, in_features], dense, of the weights' dtype
  const LinearWeights* weights = nullptr;
  Activation input_activation = Activation::kNone;  // its result is rounded to the input's dtype
  Activation activation = Activation::kNone;        // of the result, before it is accumulated
  LinearOutput output;

  int64_t rows() const { return input.shape[0]; }
};

/// How a number becomes the sines and cosines of scale·(number·frequency), for each frequency. In
/// host memory.
struct Sinusoids {
  std::vector<float> frequencies;  // [dim/2]
  float scale = 1;
  bool flip_sin_to_cos = false;  // [cos | sin] instead of [sin | cos]
  int64_t dim = 0;               // an odd dim ends in a zero column
};

/// Row n of the output is the sinusoids of timestep n.
struct TimestepProjectionArgs {
  TensorView timesteps;  // [count], float32
  const Sinusoids* sinusoids = nullptr;
  TensorView output;  // [count, dim], dense, of any layer dtype

  int64_t count() const { return timesteps.shape[0]; }
};

/// Normalises each row of x in place: x = (x − mean)/√(variance + epsilon)·weight + bias, computed
/// in float32.
struct LayerNormArgs {
  TensorView x;                                      // [..., dim], dense, of any layer dtype
  std::optional<TensorView> weight = {}, bias = {};  // [dim], float32; none: 1 and 0
  double epsilon = 1e-6;
};

/// The embedding of a timestep plus the embeddings of sizes. Each is two linears on the sinusoids
/// of a number. The sizes' values are numbered through, over all of `sizes`: the embedding of value
/// v, s features wide, is added to channels [v·s, (v+1)·s). Sample b uses timestep
/// ⌊b · steps / batch⌋.
struct ConditionEmbeddingArgs {
  struct Size {
    TensorView numbers;  // [rows, values]: sample b uses row (b mod rows)
    int64_t values = 0;
    const LinearWeights *linear_1 = nullptr, *linear_2 = nullptr;  // to s features
  };
  TensorView timesteps;                                          // [steps], which divides batch
  const LinearWeights *linear_1 = nullptr, *linear_2 = nullptr;  // to dim features
  std::vector<Size> sizes;
  const Sinusoids* sinusoids = nullptr;       // of all numbers
  Activation activation = Activation::kNone;  // between the linears
  TensorView output;                          // [batch, dim], dense, of the weights' dtype

  int64_t batch() const { return output.shape[0]; }
};

/// The operations of one work, run in order on one device. Used by one thread at a time. Tensors
/// are in the device's memory unless a function names the host. Every operation may be
/// asynchronous: results are complete, and errors are known, when the work is done (see
/// Work::finish).
class Queue {
 public:
  virtual ~Queue() = default;
  /// Device memory that is valid until the work is done. Its content is undefined.
  virtual void* scratch(size_t bytes) = 0;
  TensorView scratch_tensor(const TensorSpec& spec) { return {spec, scratch(spec.bytes())}; }
  /// A copy of a host tensor in the device's memory, valid until the work is done. `host` must not
  /// change until then. A device whose memory is the host's returns `host` itself.
  virtual TensorView upload(const TensorView& host) = 0;
  /// Copies a tensor of the device to the host. The bytes have arrived when the work is done.
  virtual void download(const TensorView& from, void* host) = 0;
  virtual void fill_zero(const TensorView& to) = 0;

  // The operations. Each has a file of its own name in every device's folder.
  virtual void timestep_projection(const TimestepProjectionArgs& args) = 0;
  virtual void patch_projection(const PatchProjectionArgs& args) = 0;
  virtual void linear(const LinearArgs& args) = 0;
  virtual void layer_norm(const LayerNormArgs& args) = 0;
  /// out = a + b with numpy's broadcasting. `out` has the broadcast shape and a's dtype; b is
  /// float32.
  virtual void add(const TensorView& a, const TensorView& b, const TensorView& out) = 0;
  /// Converts any dtype to any other, rounding once. Sizes are equal. Equal dtypes are copied.
  virtual void convert(const TensorView& from, const TensorView& to) = 0;

  // Optional operations. A device implements one if it computes the whole faster than its parts.
  // The first two return false if they queued nothing; then the caller queues the parts.

  /// All parts of a condition embedding at once. For devices on which the start of an operation
  /// costs more than these small products.
  virtual bool condition_embedding(const ConditionEmbeddingArgs&) { return false; }
  /// Two linears at once: the output of `first` is the input of `second`. first.output and
  /// second.input are not used.
  virtual bool linear_pair(const LinearArgs& /*first*/, const LinearArgs& /*second*/) {
    return false;
  }
  /// Copies each row of `from` [rows, …] to `times` neighbouring rows of `to` [rows·times, …]. The
  /// dtypes are equal. By default one copy per row of `to`.
  virtual void repeat_rows(const TensorView& from, int64_t times, const TensorView& to);
};

/// What JavaScript's listDevices() returns of a device.
struct DeviceInfo {
  std::string name;             // 'cpu', 'npu:0' …
  std::string kind;             // 'cpu' or 'npu'
  std::string instruction_set;  // of the CPU: 'AVX2' …
  int threads = 0;              // of the CPU
  std::string soc;              // of an NPU: 'Ascend910B3' …
  struct Memory {               // in bytes
    size_t free = 0;
    size_t total = 0;
  };
  std::optional<Memory> memory;  // none: the device is not open
};

/// The memory that tensors take on a device, in bytes.
struct MemoryUsage {
  size_t live = 0;    // held by tensors
  size_t pooled = 0;  // free, and kept for the next tensors
  size_t limit = 0;   // the most that `live` may become
};

/// Set to make a work end early: its queue reads the flag between pieces of work and throws
/// ERR_ABORTED.
using CancelFlag = std::atomic<bool>;

/// One piece of work for a device. The device and whoever waits for the work share it: the device
/// keeps its reference until finish() has returned.
class Work {
 public:
  virtual ~Work() = default;

  /// Gives the work's operations to the queue. If it throws, this work fails, and no other.
  virtual void run(Queue& queue) = 0;

  /// Called by the device, exactly once for each work that submit() took: when the operations of
  /// run() are done or one has failed, or when the device will not run the work.
  void finish(const std::optional<Error>& outcome) noexcept {
    error = outcome;
    done();
  }

  /// Asks the device to end the work early.
  void cancel() { cancelled.store(true, std::memory_order_relaxed); }

  CancelFlag cancelled{false};
  std::optional<Error> error;  // what the work failed with; written before done() is called

 protected:
  /// Called by finish(), on its thread, when the work has ended.
  virtual void done() noexcept = 0;
};

/// One device of this process: the CPU or an NPU. Its functions may be called on any thread.
class Device {
 public:
  virtual ~Device() = default;
  /// 'cpu', 'npu:0' …
  virtual const std::string& name() const = 0;
  virtual DeviceInfo info() const = 0;
  virtual MemoryUsage memory_usage() const = 0;
  /// Throws ERR_DTYPE if layers cannot compute in `dtype` on this device.
  virtual void check_dtype(DType dtype) const = 0;
  /// Memory aligned for every kernel; its content is undefined. Throws ERR_OUT_OF_MEMORY.
  virtual std::shared_ptr<Buffer> allocate(size_t bytes) = 0;
  /// Optional; by default throws ERR_VALUE. A buffer over memory of this device that another part
  /// of the process owns; the buffer never frees it. `event`, of the device's runtime, completes
  /// when the memory's content is written (null: it is written already). await_content() waits for
  /// it. borrow() itself makes no call to the device.
  virtual std::shared_ptr<Buffer> borrow(void* memory, size_t bytes, void* event);
  /// Host memory for the inputs of a work. If possible, the device copies from it without a second
  /// copy on the host.
  virtual std::shared_ptr<Buffer> allocate_staging(size_t bytes) = 0;
  /// Whether submit() runs a work on the calling thread and returns when the work is done. If not,
  /// the device has a thread of its own: submit() returns at once, works run on that thread in the
  /// order of their submission, and done() is called there.
  virtual bool runs_on_caller() const = 0;
  /// Runs a work. If submit() throws, the work neither runs nor finishes.
  virtual void submit(std::shared_ptr<Work> work) = 0;
  /// Optional. Finishes at once the works that were cancelled before they ran. Without this call
  /// they would finish only after the works before them, or after the device has opened.
  virtual void drop_cancelled() noexcept {}
  /// Copy `bytes` and return when they have arrived. May be called on any thread, inside works,
  /// too.
  virtual void copy_in(void* device, const void* host, size_t bytes) = 0;
  virtual void copy_out(void* host, const void* device, size_t bytes) = 0;
  /// Converts weights to `dtype` and to the device's layout. `weight` [out, in, …] and `bias` [out]
  /// (or null) are host tensors of any floating dtype.
  virtual std::shared_ptr<const LinearWeights> prepare_linear(const TensorView& weight,
                                                              const TensorView* bias,
                                                              DType dtype) = 0;
  virtual std::shared_ptr<const PreparedPositions> prepare_positions(PositionTable table) = 0;
};

/// Submits a work that calls `run`, and waits until it is done. If the work fails, throws its
/// error. Inside a work of a device that has a thread of its own, it must not be called for that
/// device: it would wait for itself.
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
