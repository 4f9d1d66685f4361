// aclnn's descriptions of tensors, and executors.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/handles.h"
#include "runtime/memory.h"

namespace latte::twin {

#pragma GCC visibility push(default)

size_t item_size(aclDataType dtype);  // 0: unknown
const char* dtype_name(aclDataType dtype);

/// A strided view of device memory, up to 8 dims. Strides and the offset count elements.
struct View {
  aclDataType dtype = ACL_FLOAT;
  std::vector<int64_t> dims, strides;
  int64_t offset = 0;
  int64_t storage = 0;  // elements of the storage that the tensor was created with
  void* data = nullptr;

  int64_t elements() const;
  /// The elements from the first to the last that the view reaches; 0 for an empty view.
  int64_t extent() const;
  bool is_contiguous() const;
  /// The device address of the first element.
  const void* begin() const;
  size_t extent_bytes() const { return static_cast<size_t>(extent()) * item_size(dtype); }
};

std::string describe(const View& view);

struct TensorObject {
  View view;
  int users = 0;  // executors that still refer to it
};
struct ScalarObject {
  aclDataType dtype = ACL_FLOAT;
  double value = 0;
};
struct ArrayObject {
  std::vector<int64_t> values;
};

Handles<TensorObject>& tensors();
Handles<ScalarObject>& scalars();
Handles<ArrayObject>& arrays();

/// A view whose elements can be read on the host; `origin` is its first element.
struct Elements {
  View view;
  std::byte* origin = nullptr;
};
using Compute =
    std::function<void(const std::vector<Elements>& inputs, const std::vector<Elements>& outputs)>;

struct Operand {
  View view;
  const aclTensor* handle = nullptr;
  std::shared_ptr<TensorObject> tensor;
};

class KernelPlan;

struct Executor {
  const char* operation = nullptr;
  /// Why aclSetAclOpExecutorRepeatable must not be used; null if it may be.
  const char* not_repeatable = nullptr;
  std::vector<Operand> inputs, outputs;
  /// The index of the input that is also written; -1: none.
  int written_input = -1;
  /// Whether an output may be one of the inputs.
  bool may_be_in_place = false;
  uint64_t workspace_bytes = 0;
  Compute compute;                            // empty: nothing to do
  std::shared_ptr<const KernelPlan> kernels;  // null: none
  bool repeatable = false, has_run = false;
  const void* context = nullptr;  // that was current when it was made

  Executor();
  Executor(const Executor&) = delete;
  ~Executor();
};

Handles<Executor>& executors();

/// Runs the second function of an operation, which is the same for all.
aclnnStatus run_executor(const char* operation, void* workspace, uint64_t bytes,
                         aclOpExecutor* executor, aclrtStream stream);

#pragma GCC visibility pop

}  // namespace latte::twin
