// The operations of a work, on a device's stream. On the device's thread.
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

/// What a device's queues share.
struct QueueResources {
  const AclFunctions& acl;
  Device& host;  // of the host's memory: converts and projects what the NPU does not
  const std::string& device_name;
  DeviceMemory& memory;
  ExecutorCache& executors;
  ConstantCache& constant_cache;
  Graphs& graphs;
  const Kernels* kernels;  // null: none, or not for this chip
  bool fused;              // whether the fused projection is one of them
  CoreCounts cores;
  DeviceThread& thread;  // every wait for the stream goes through it
  aclrtStream stream;
  bool float16_only;  // the first Ascend 910
  uint64_t resets;    // how often the stream failed; copies under way at that time were lost
  int64_t l2_bytes;   // of the L2 cache
};

/// What the operand of the fused projection depends on beside the weights: the position table's id
/// (0: none), rows of tokens of a tile, and columns of a product.
using FusedLayout = std::array<uint64_t, 3>;

struct HostLinear;
struct MergedLinears;

/// Weights as they came: [out, in] and [out] in device memory.
class AscendLinearWeights final : public LinearWeights,
                                  public std::enable_shared_from_this<AscendLinearWeights> {
 public:
  AscendLinearWeights() = default;
  ~AscendLinearWeights() override;
  Device* device = nullptr;
  std::shared_ptr<Buffer> weight, bias;
  /// For the fused projection, since the device's last reset. On the device's thread.
  mutable std::map<FusedLayout, std::shared_ptr<Buffer>> fused_operands;
  mutable uint64_t fused_resets = 0;
  uint64_t id = 0;  // never that of other weights, also not of ones that are gone
  mutable std::atomic<bool> captured = false;  // a graph was made that reads them
  /// This linear, merged with those of these ids, since the device's last reset. On the device's
  /// thread.
  mutable std::map<std::vector<uint64_t>, std::shared_ptr<const MergedLinears>> merged;
  mutable uint64_t merged_resets = 0;
  void unpack(void* weight_out, void* bias_out) const override;
};

/// Several linears as one, with zeros where an input has no part in an output.
struct MergedLinears {
  AscendLinearWeights first, second;
};

/// A position table in device memory, whole: [rows, dim] float32.
class AscendPositions final : public PreparedPositions {
 public:
  uint64_t id = 0;  // never that of another table, also not of one that is gone
  int64_t rows = 0, dim = 0;
  std::shared_ptr<Buffer> whole;
  /// The table rounded to a half type, since the device's last reset. On the device's thread.
  mutable std::map<DType, std::shared_ptr<Buffer>> rounded;
  mutable uint64_t rounded_resets = 0;
  /// The table on the host if it is separable: the fused projection folds it into its product.
  std::optional<PositionTable> separable;
};

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

  /// Copies downloaded bytes from pinned memory to their tensors. Call it when the stream has run
  /// the downloads.
  void finish();

  /// A part of a forward that may be captured: launches that read one dense tensor, weights and
  /// constants, and write another one.
  struct ReplayedPart {
    std::string key;  // tells apart all launches that differ in more than addresses
    std::vector<const AscendLinearWeights*> weights;  // the first one's id is the layer's
    TensorSpec input;
    const void* host = nullptr;  // the input on the host, if that knows it
    void* device = nullptr;      // its place in the device's memory, if it has one
    TensorView output;
    std::function<void(void* input, void* output)> launch;
  };

 private:
  struct Download {
    const void* staging;
    void* host;
    size_t bytes;
  };

  /// Makes the uploads that lie in this memory: an operation is going to read it.
  void read(const void* address, size_t bytes);
  /// The same, and the host's copies count no longer: an operation is going to write it.
  void overwrite(const void* address, size_t bytes);
  /// Copies uploads that an operation needs.
  void make(const std::vector<Uploads::Upload>& pending);
  /// Device memory that is to have these elements, which stay where they are until the work is
  /// done.
  void upload_later(const TensorView& to, const void* host);
  /// Whether memory is one block of scratch().
  bool is_scratch(const void* address, size_t bytes) const;
  /// Copies at once. Uploads in `to` stay as they are: the caller calls overwrite() if `to` gets
  /// other content than an upload's.
  void copy_to_device(const TensorView& to, const void* host);
  void copy_on_device(const TensorView& from, const TensorView& to);
  std::byte* staging(size_t bytes);

  void run(const OperationCall& call);
  /// Runs a part: as one replay if it was captured, else launch by launch.
  void run_part(const ReplayedPart& part);
  void run_launches(const ReplayedPart& part, std::vector<size_t>* scratch_sizes);
  void replay(Graphs::Entry& entry, const ReplayedPart& part);
  /// Captures a part that has just been run, with scratch blocks of these sizes.
  std::shared_ptr<Graph> capture(const ReplayedPart& part, const std::vector<size_t>& scratch);
  /// Throws ERR_STATE while launches are captured: `what` is nothing that can be.
  void refuse_in_capture(const char* what) const;
  void check_cancelled() const;
  /// y = activation(x), as one aclnn operation.
  void activate(Activation activation, const OperandView& x, const OperandView& y);
  /// out [rows, out_features] = x·Wᵀ + b
  void product(const void* x, int64_t rows, const AscendLinearWeights& weights, void* out);
  void copy_view(const OperandView& from, const OperandView& to);
  /// The same, without overwrite().
  void copy_elements(const OperandView& from, const OperandView& to);
  void add_views(const OperandView& a, const OperandView& b, const OperandView& out);
  /// args.x normalised, in `out`.
  void normalise(const LayerNormArgs& args, void* out);
  void gather_patches(const PatchProjectionArgs& args, void* patches);
  bool plugin_patchify(const PatchProjectionArgs& args, void* patches);
  bool fused_patch_projection(const PatchProjectionArgs& args);
  const void* fused_operand_of(const AscendLinearWeights& weights, const AscendPositions* positions,
                               const latte_fused_tiling& tiling);
  bool plugin_timestep_projection(const TimestepProjectionArgs& args);
  void project_on_host(const TimestepProjectionArgs& args, const std::vector<float>& timesteps);
  /// Sinusoids of the host, in pinned memory.
  const std::byte* sinusoids_on_host(const TimestepProjectionArgs& args,
                                     const std::vector<float>& timesteps);
  bool projects_by_kernel(const TimestepProjectionArgs& args) const;
  /// Whether few enough sinusoids are wanted for the host, if that knows the timesteps.
  static bool projects_on_host(const TimestepProjectionArgs& args);
  const void* copied_to_staging(const std::vector<float>& values);
  /// These floats in device memory, copied there once.
  const void* constant(const std::vector<float>& values);
  /// A position table as an addend of tokens of this dtype.
  OperandView addend(const AscendPositions& positions, DType dtype);
  /// The two linears of a condition embedding as one each; null if they would be too large.
  const MergedLinears* merged_linears(const ConditionEmbeddingArgs& args);
  /// The folded linears of a pair, if that may have them; else null. `samples` [rows, in_features].
  const MergedLinears* folded_for(const LinearArgs& first, const LinearArgs& second,
                                  const uint16_t* samples);
  /// Samples with a 1 and zeros beside each, in pinned memory.
  const void* widened(const uint16_t* samples, int64_t rows, int64_t width);
  /// Two linears with their biases as columns of the weights; null if they would be too large.
  const MergedLinears* folded_linears(const AscendLinearWeights& first,
                                      const AscendLinearWeights& second);
  /// In device memory, of the dtype of `like`.
  std::shared_ptr<const MergedLinears> to_device(const AscendLinearWeights& like,
                                                 const HostLinear& first, const HostLinear& second);
  /// After each operation, where LATTE_ASCEND_SYNC asks for it.
  void after(const char* operation);

  const QueueResources resources_;
  const AclFunctions& acl_;
  const CancelFlag* cancelled_;
  std::vector<std::shared_ptr<Buffer>> held_;
  Uploads uploads_;
  std::vector<Download> downloads_;
  std::vector<std::shared_ptr<Graph>> replayed_;  // not destroyed before they have run
  std::vector<size_t>* scratch_sizes_ = nullptr;  // notes what scratch() gives, if not null
  Graph* capturing_ = nullptr;                    // whose blocks scratch() gives, if not null
  size_t captured_blocks_ = 0;                    // that it has given
};

}  // namespace latte::ascend
