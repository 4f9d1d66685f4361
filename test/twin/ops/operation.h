// The first function of every operation: it checks the operands by the operation's documentation,
// and makes an executor. docs/ascend-operations.md names the documents and their versions. In the
// comments of this folder M is its ops-math c4193324, and N is its ops-nn e5c3fa93.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nnop/kernels.h"
#include "ops/elements.h"

namespace latte::twin {

/// An operand or attribute that the documentation excludes.
struct Refusal {
  aclnnStatus code;
  std::string words;
};
[[noreturn]] void refuse(const std::string& words, aclnnStatus code = ACLNN_ERR_PARAM_INVALID);

/// The description of one call, which becomes an executor.
class Call {
 public:
  /// Adds a tensor that the executor reads, or writes. Their order is the order of indices for
  /// setting addresses anew.
  const View& input(const aclTensor* tensor, const char* name);
  const View& output(const aclTensor* tensor, const char* name);
  double scalar(const aclScalar* scalar, const char* name);
  std::vector<int64_t> array(const aclIntArray* array, const char* name);

  Executor& executor() { return *executor_; }
  /// The kernels that the operation starts; call it when all operands are known.
  KernelPlan& kernels();
  std::shared_ptr<Executor> take() { return std::move(executor_); }

 private:
  Operand operand(const aclTensor* tensor, const char* name);

  std::shared_ptr<Executor> executor_ = std::make_shared<Executor>();
  std::shared_ptr<KernelPlan> kernels_;
};

/// Runs `describe`, which fills the call or refuses it; returns the executor by `executor`.
aclnnStatus first_call(const char* operation, uint64_t* bytes, aclOpExecutor** executor,
                       const std::function<void(Call&)>& describe);

// Checks that several operations need.

bool is_computed(aclDataType dtype);
/// Refuses a view that is not float32, float16 or, except on the first generation, bfloat16.
void require_float(const View& view, const char* name);
void require_same_dims(const View& a, const View& b);
void require_same_dtype(const View& a, const View& b);
/// The dtype in which operands of two dtypes are computed (deduction_relationship.md, M).
aclDataType deduced(aclDataType a, aclDataType b);
/// The bytes of the dense copies that an operation makes of non-contiguous operands.
uint64_t gather_bytes(const std::vector<const View*>& views);

}  // namespace latte::twin
