// Calls of aclnn operations. Each is two calls into CANN: one makes an executor for the operands'
// shapes, and one puts it on the stream. Executors are kept for the next equal call, if the
// operation's documentation allows that (docs/ascend-operations.md).
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <unordered_map>
#include <vector>

#include "backend/ascend/acl/acl_handle.h"
#include "backend/backend.h"

namespace latte::ascend {

/// A strided view of device memory, as aclnn takes it.
struct OperandView {
  aclDataType dtype = ACL_FLOAT;
  std::vector<int64_t> dims;
  std::vector<int64_t> strides;  // in elements
  void* data = nullptr;
  /// Elements from `data` to the end of the tensor of which this is a view. 0: to the last element
  /// of the view. It matters for speed: CANN slices a view whose storage includes the whole last
  /// row, but gathers any other view element by element (docs/ascend-operations.md).
  int64_t storage = 0;

  /// A dense row-major operand.
  static OperandView dense(DType dtype, std::vector<int64_t> dims, const void* data);
  /// All elements of a dense tensor, as one axis.
  static OperandView flat(const TensorView& tensor);
  /// How many elements lie between `data` and the last element of the view, both included.
  int64_t storage_elements() const;
  size_t storage_bytes() const;
  bool is_dense() const;
};

/// ACL's name for a dtype.
aclDataType acl_dtype(DType dtype);

/// One call of an operation.
struct OperationCall {
  const char* name;
  AclnnRun run;
  bool repeatable;  // whether its documentation allows to use an executor again
  std::vector<OperandView> inputs, outputs;
  /// Makes the executor and sets the workspace's bytes. `tensors` are the inputs, then the outputs.
  std::function<aclnnStatus(const std::vector<aclTensor*>& tensors, uint64_t* bytes,
                            aclOpExecutor** executor)>
      make;
  /// A number that differs between calls that differ in more than their operands.
  int64_t attribute = 0;
};

/// The executors of one device. Used on its thread.
class ExecutorCache {
 public:
  /// @param first_generation whether the chip is a first Ascend 910 or a 310P.
  ExecutorCache(const AclFunctions& acl, bool first_generation)
      : acl_(acl), first_generation_(first_generation) {}

  /// Puts a call on the stream. workspace(bytes) returns memory that is valid until the work is
  /// done. If `only_kept`, throws ERR_STATE instead of making an executor.
  void run(const OperationCall& call, aclrtStream stream,
           const std::function<void*(size_t)>& workspace, bool only_kept = false);
  /// Destroys all executors. None of them may be on the stream.
  void clear() {
    kept_.clear();
    one_.reset();
  }
  /// Destroys the executors if there are many. None of them may be on the stream.
  void trim();
  /// The scalar 1, for operations that take a factor.
  const aclScalar* one();

 private:
  struct Kept {
    std::vector<TensorHandle> tensors;
    uint64_t workspace_bytes = 0;
    ExecutorHandle executor;  // destroyed before its tensors
  };

  TensorHandle make_tensor(const OperandView& view) const;
  bool may_keep(const OperationCall& call) const;

  const AclFunctions& acl_;
  const bool first_generation_;
  ScalarHandle one_;  // outlives the executors that refer to it
  std::unordered_map<std::string, Kept> kept_;
};

}  // namespace latte::ascend
