// The queue of one work on an NPU: it launches the work's operations on the device's stream. Used
// on the device's thread.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "backend/ascend/constant_cache.h"
#include "backend/ascend/acl/device_memory.h"
#include "backend/ascend/acl/device_thread.h"
#include "backend/ascend/graphs.h"
#include "backend/ascend/kernels.h"
#include "backend/ascend/kernels/tiling.h"
#include "backend/ascend/acl/executor_cache.h"
#include "backend/ascend/uploads.h"

namespace latte::ascend {

/// What the queues of a device share.
struct QueueResources {
  const AclFunctions& acl;
  Device& host;  // the CPU: converts and projects what the NPU does not
  const std::string& device_name;
  DeviceMemory& memory;
  ExecutorCache& executors;
  ConstantCache& constant_cache;
  Graphs& graphs;
  const Kernels* kernels;  // null: none, or none that work on this chip
  bool fused;              // whether the fused projection is one of them
  CoreCounts cores;
  DeviceThread& thread;  // all waits for the stream go through it
  aclrtStream stream;
  bool float16_only;  // Chip::float16_only()
  uint64_t resets;    // how often the stream has failed; copies under way at that time were lost
  int64_t l2_bytes;   // of the L2 cache
};

/// What the fused projection's operand depends on, apart from the weights: the id of the position
/// table (0: none), the rows of tokens of a tile (its tokens without a table), and the columns of a
/// product.
using FusedLayout = std::array<uint64_t, 3>;

struct HostLinear;
struct MergedLinears;

/// Weights in device memory, not repacked: weight [out, in] and bias [out].
class AscendLinearWeights final : public LinearWeights,
                                  public std::enable_shared_from_this<AscendLinearWeights> {
 public:
  AscendLinearWeights() = default;
  ~AscendLinearWeights() override;
  Device* device = nullptr;
  std::shared_ptr<Buffer> weight, bias;
  /// A cache of operands of the fused projection; null for one that has a value that is not finite.
  /// Valid while fused_resets is the device's count of resets. Used on the device's thread.
  mutable std::map<FusedLayout, std::shared_ptr<Buffer>> fused_operands;
  mutable uint64_t fused_resets = 0;
  uint64_t id = 0;  // unique in the process; also ids of destroyed weights are not used again
  mutable std::atomic<bool> captured = false;  // whether a captured graph reads these weights
  /// A cache of this linear merged with others, by their ids. Valid while merged_resets is the
  /// device's count of resets. Used on the device's thread.
  mutable std::map<std::vector<uint64_t>, std::shared_ptr<const MergedLinears>> merged;
  mutable uint64_t merged_resets = 0;
  void unpack(void* weight_out, void* bias_out) const override;
};

/// Two linears that compute several pairs of linears at once (see condition_embedding.cc).
struct MergedLinears {
  AscendLinearWeights first, second;
};

/// A position table in device memory.
class AscendPositions final : public PreparedPositions {
 public:
  uint64_t id = 0;  // unique in the process; also ids of destroyed tables are not used again
  int64_t rows = 0, dim = 0;
  std::shared_ptr<Buffer> whole;  // [rows, dim], float32
  /// A cache of the table rounded to half types. Valid while rounded_resets is the device's count
  /// of resets. Used on the device's thread.
  mutable std::map<DType, std::shared_ptr<Buffer>> rounded;
  mutable uint64_t rounded_resets = 0;
  /// The table on the host, if it is separable. The fused projection folds it into its operand.
  std::optional<PositionTable> separable;
};

/// Runs operations as launches of our kernels and of aclnn operations, or on the host. Each
/// operation's file has the member functions that belong to it.
class AscendQueue final : public Queue {
 public:
  AscendQueue(const QueueResources& resources, const CancelFlag* cancelled)
      : resources_(resources), acl_(resources.acl), cancelled_(cancelled) {}

  void* scratch(size_t bytes) override;
  TensorView upload(const TensorView& host) override;
  void download(const TensorView& from, void* host) override;
  void fill_zero(const TensorView& to) override;
  void timestep_projection(const TimestepProjectionArgs& args) override;
  void patch_projection(const PatchProjectionArgs& args) override;
  void linear(const LinearArgs& args) override;
  bool condition_embedding(const ConditionEmbeddingArgs& args) override;
  bool linear_pair(const LinearArgs& first, const LinearArgs& second) override;
  void layer_norm(const LayerNormArgs& args) override;
  void add(const TensorView& a, const TensorView& b, const TensorView& out) override;
  void convert(const TensorView& from, const TensorView& to) override;
  void repeat_rows(const TensorView& from, int64_t times, const TensorView& to) override;

  /// Copies downloaded bytes from pinned memory to their tensors. To be called after the stream has
  /// run the downloads.
  void finish();

  /// A part of a forward that may be captured and replayed. Its launches read one dense input,
  /// weights and constants, and write one dense output.
  struct ReplayedPart {
    std::string key;  // equal only for parts whose launches differ in nothing but addresses
    std::vector<const AscendLinearWeights*> weights;  // the first one's id stands for the layer
    TensorSpec input;
    const void* host = nullptr;  // the input on the host; null if the host has no copy
    void* device = nullptr;      // the input on the device; null if it is only on the host
    TensorView output;
    std::function<void(void* input, void* output)> launch;  // launches it on these addresses
  };

 private:
  /// A copy that finish() has to make.
  struct Download {
    const void* staging;
    void* host;
    size_t bytes;
  };

  /// To be called before an operation reads this memory: copies the uploads in it that are pending.
  void read(const void* address, size_t bytes);
  /// To be called before an operation writes this memory: does what read() does, and forgets the
  /// host's copies of this memory.
  void overwrite(const void* address, size_t bytes);
  /// Copies uploads to the device.
  void copy_uploads(const std::vector<Uploads::Upload>& pending);
  /// Notes an upload, which is copied when an operation reads `to`. The elements at `host` must not
  /// change until the work is done.
  void upload_later(const TensorView& to, const void* host);
  /// Whether this memory lies in one block that this queue holds, as those of scratch().
  bool is_scratch(const void* address, size_t bytes) const;
  /// Launches a copy now. Does not change what is known about uploads: the caller calls overwrite()
  /// unless the copy is itself an upload.
  void copy_to_device(const TensorView& to, const void* host);
  void copy_on_device(const TensorView& from, const TensorView& to);
  /// Pinned host memory that is valid until the work is done.
  std::byte* staging(size_t bytes);

  /// Launches one aclnn operation.
  void run(const OperationCall& call);
  /// Runs a part: as one replay if it was captured, else launch by launch.
  void run_part(const ReplayedPart& part);
  /// Appends the sizes of the blocks that the launches take to `scratch_sizes`, if it is not null.
  void run_launches(const ReplayedPart& part, std::vector<size_t>* scratch_sizes);
  void replay(Graphs::Entry& entry, const ReplayedPart& part);
  /// Captures a part that has just run, and gives its launches scratch blocks of these sizes.
  std::shared_ptr<Graph> capture(const ReplayedPart& part, const std::vector<size_t>& scratch);
  /// Throws ERR_STATE if launches are being captured, because `what` cannot be captured.
  void refuse_in_capture(const char* what) const;
  void check_cancelled() const;
  /// y = activation(x), as one aclnn operation.
  void activate(Activation activation, const OperandView& x, const OperandView& y);
  /// out [rows, out_features] = x·Wᵀ + b
  void product(const void* x, int64_t rows, const AscendLinearWeights& weights, void* out);
  void copy_view(const OperandView& from, const OperandView& to);
  /// The same, without overwrite(): for `to` that is the target of an upload.
  void copy_elements(const OperandView& from, const OperandView& to);
  void add_views(const OperandView& a, const OperandView& b, const OperandView& out);
  /// Writes args.x, normalised, to `out`.
  void normalise(const LayerNormArgs& args, void* out);
  /// patches [tokens, C·frames·height·width]
  void gather_patches(const PatchProjectionArgs& args, void* patches);
  bool plugin_patchify(const PatchProjectionArgs& args, void* patches);
  bool fused_patch_projection(const PatchProjectionArgs& args);
  /// The fused projection's operand in device memory; null if it has a value that is not finite.
  const void* fused_operand_of(const AscendLinearWeights& weights, const AscendPositions* positions,
                               const latte_fused_tiling& tiling);
  bool plugin_timestep_projection(const TimestepProjectionArgs& args);
  void project_on_host(const TimestepProjectionArgs& args, const std::vector<float>& timesteps);
  /// Sinusoids that the host computes, in pinned memory.
  const std::byte* sinusoids_on_host(const TimestepProjectionArgs& args,
                                     const std::vector<float>& timesteps);
  /// Whether our kernel supports the projection.
  bool projects_by_kernel(const TimestepProjectionArgs& args) const;
  /// Whether there are so few sinusoids that the host computes them, if it has the timesteps.
  static bool projects_on_host(const TimestepProjectionArgs& args);
  const void* copied_to_staging(const std::vector<float>& values);
  /// These floats in device memory; they are copied there the first time.
  const void* constant(const std::vector<float>& values);
  /// A position table as it is added to tokens of this dtype.
  OperandView addend(const AscendPositions& positions, DType dtype);
  /// All first and all second linears of a condition embedding as one linear each; null if these
  /// would be too large.
  const MergedLinears* merged_linears(const ConditionEmbeddingArgs& args);
  /// folded_linears() of a pair if the biases can be folded for these samples [rows, in_features];
  /// else null.
  const MergedLinears* folded_for(const LinearArgs& first, const LinearArgs& second,
                                  const uint16_t* samples);
  /// In pinned memory, samples [rows, width] of bfloat16, each followed by a 1 and zeros.
  const void* widened(const uint16_t* samples, int64_t rows, int64_t width);
  /// Two linears whose biases are columns of their weights; null if these would be too large.
  const MergedLinears* folded_linears(const AscendLinearWeights& first,
                                      const AscendLinearWeights& second);
  /// Copies two linears to device memory, in the dtype of `like`.
  std::shared_ptr<const MergedLinears> to_device(const AscendLinearWeights& like,
                                                 const HostLinear& first, const HostLinear& second);
  /// Called after each operation. If LATTE_ASCEND_SYNC is 1, waits for the stream.
  void after(const char* operation);

  const QueueResources resources_;
  const AclFunctions& acl_;
  const CancelFlag* cancelled_;
  std::vector<std::shared_ptr<Buffer>> held_;  // scratch and pinned memory, until the work is done
  Uploads uploads_;
  std::vector<Download> downloads_;
  std::vector<std::shared_ptr<Graph>> replayed_;  // kept until they have run
  std::vector<size_t>* scratch_sizes_ = nullptr;  // scratch() appends its sizes, if not null
  Graph* capturing_ = nullptr;                    // the graph that is captured, or null
  size_t captured_blocks_ = 0;                    // its scratch blocks that scratch() has returned
};

}  // namespace latte::ascend
