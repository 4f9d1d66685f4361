// Calls of aclnn operations. Each is two calls into CANN: one that makes an executor for these very
// shapes, and one that puts it on the stream. Executors are kept for the next equal call where the
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
  /// Elements from `data` to the end of the tensor that this is a view of, if that is behind the
  /// last one that the view reaches: CANN slices a view whose storage holds its last row whole, and
  /// gathers any other one element by element (docs/ascend-operations.md).
  int64_t storage = 0;

  /// A dense row-major operand.
  static OperandView dense(DType dtype, std::vector<int64_t> dims, const void* data);
  /// All elements of a tensor on one axis.
  static OperandView flat(const TensorView& tensor);
  /// The elements from `data` to the last one that the view reaches.
  int64_t storage_elements() const;
  size_t storage_bytes() const;
  bool is_dense() const;
};

aclDataType acl_dtype(DType dtype);

/// One call of an operation.
struct OperationCall {
  const char* name;
  AclnnRun run;
  bool repeatable;  // by the operation's documentation
  std::vector<OperandView> inputs, outputs;
  /// Makes the executor; `tensors` are the inputs, then the outputs.
  std::function<aclnnStatus(const std::vector<aclTensor*>& tensors, uint64_t* bytes,
                            aclOpExecutor** executor)>
      make;
  /// Tells apart calls that differ in more than their operands.
  int64_t attribute = 0;
};

/// The executors of one device. On its thread.
class ExecutorCache {
 public:
  ExecutorCache(const AclFunctions& acl, bool first_generation)
      : acl_(acl), first_generation_(first_generation) {}

  /// Puts a call on the stream. `workspace` gives memory that lives until the work is done.
  /// `only_kept`: throws ERR_STATE where that would make an executor.
  void run(const OperationCall& call, aclrtStream stream,
           const std::function<void*(size_t)>& workspace, bool only_kept = false);
  /// Forgets all executors; nothing of theirs may be on the stream.
  void clear() {
    kept_.clear();
    one_.reset();
  }
  /// Keeps the number of executors within bounds; nothing of theirs may be on the stream.
  void trim();
  /// The scalar 1, for operations that scale.
  const aclScalar* one();

 private:
  struct Kept {
    std::vector<TensorHandle> tensors;
    uint64_t workspace_bytes = 0;
    ExecutorHandle executor;  // goes before its tensors
  };

  TensorHandle make_tensor(const OperandView& view) const;
  bool may_keep(const OperationCall& call) const;

  const AclFunctions& acl_;
  const bool first_generation_;
  ScalarHandle one_;  // outlives the executors that refer to it
  std::unordered_map<std::string, Kept> kept_;
};

}  // namespace latte::ascend
