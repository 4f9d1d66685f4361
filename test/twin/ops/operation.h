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

/// What is being said of one call.
class Call {
 public:
  /// A tensor that the executor reads, or writes, in the order in which addresses are set anew.
  const View& input(const aclTensor* tensor, const char* name);
  const View& output(const aclTensor* tensor, const char* name);
  double scalar(const aclScalar* scalar, const char* name);
  std::vector<int64_t> array(const aclIntArray* array, const char* name);

  Executor& executor() { return *executor_; }
  /// What the operation starts; to be called when all operands are known.
  KernelPlan& kernels();
  std::shared_ptr<Executor> take() { return std::move(executor_); }

 private:
  Operand operand(const aclTensor* tensor, const char* name);

  std::shared_ptr<Executor> executor_ = std::make_shared<Executor>();
  std::shared_ptr<KernelPlan> kernels_;
};

/// Runs `describe`, which fills the call or refuses; gives the executor out.
aclnnStatus first_call(const char* operation, uint64_t* bytes, aclOpExecutor** executor,
                       const std::function<void(Call&)>& describe);

// What several operations demand.

bool is_computed(aclDataType dtype);
/// A violation unless the view is float32, float16 or, except on the first generation, bfloat16.
void require_float(const View& view, const char* name);
void require_same_dims(const View& a, const View& b);
void require_same_dtype(const View& a, const View& b);
/// The dtype that two are computed in (deduction_relationship.md, M).
aclDataType deduced(aclDataType a, aclDataType b);
/// What non-contiguous operands are brought together in: operations take them by way of a copy.
uint64_t gather_bytes(const std::vector<const View*>& views);

}  // namespace latte::twin
