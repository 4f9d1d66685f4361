// Rules of tensors, executors and workspaces.
#include "rules/rules.h"

namespace latte::twin::rules {

namespace {

/// An aclnnMm with operands of its own.
struct Product {
  Product()
      : a(npu, {2, 3}), b(npu, {3, 4}), out(npu, {2, 4}), workspace(npu.device_memory(1 << 20)) {
    aclnnMmGetWorkspaceSize(a.tensor, b.tensor, out.tensor, 0, &bytes, &executor);
  }
  aclnnStatus run() { return aclnnMm(workspace, bytes, executor, npu.stream); }

  Npu npu;
  Operand a, b, out;
  void* workspace;
  uint64_t bytes = 0;
  aclOpExecutor* executor = nullptr;
};

aclTensor* tensor(std::vector<int64_t> dims, int64_t storage, void* data) {
  return aclCreateTensor(dims.data(), dims.size(), ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, &storage,
                         1, data);
}

}  // namespace

std::vector<Rule> executor_rules() {
  return {
      {"a tensor beyond its storage", "reaches beyond its storage of 11",
       [] {
         return tensor({3, 4}, 11, nullptr) == nullptr;
       }},
      {"a tensor of nine dims", "more than 8 dims",
       [] { return tensor(std::vector<int64_t>(9, 1), 1, nullptr) == nullptr; }},
      {"a tensor at an odd address", "not aligned to its dtype",
       [] { return tensor({1}, 1, reinterpret_cast<void*>(uintptr_t{65})) == nullptr; }},
      {"a tensor destroyed twice", "already destroyed aclTensor",
       [] {
         aclTensor* made = tensor({1}, 1, nullptr);
         aclDestroyTensor(made);
         return aclDestroyTensor(made) != 0;
       }},
      {"an executor used twice", "already destroyed aclOpExecutor",
       [] {
         Product product;
         product.run();
         return product.run() != 0;
       }},
      {"an executor that was made repeatable may be used twice", "",
       [] {
         Product product;
         aclSetAclOpExecutorRepeatable(product.executor);
         const bool both = product.run() == 0 && product.run() == 0;
         product.npu.synchronise();
         return both && product.out.first(product.npu) == 3;
       }},
      {"an executor used in another context", "made in another context",
       [] {
         Product product;
         aclSetAclOpExecutorRepeatable(product.executor);
         aclrtCreateContext(&product.npu.context, 0);
         aclrtCreateStream(&product.npu.stream);
         return product.run() != 0;
       }},
      {"an executor of another operation", "an executor of aclnnMm",
       [] {
         Product product;
         return aclnnAdd(product.workspace, product.bytes, product.executor, product.npu.stream) !=
                0;
       }},
      {"an executor made repeatable after it ran", "after the executor ran",
       [] {
         Product product;
         aclSetAclOpExecutorRepeatable(product.executor);
         product.run();
         return aclSetAclOpExecutorRepeatable(product.executor) != 0;
       }},
      {"an executor made repeatable that must not be", "cannot be made repeatable",
       [] {
         Npu npu;
         const Operand from(npu, {4}), to(npu, {4});
         uint64_t bytes = 0;
         aclOpExecutor* executor = nullptr;
         aclnnInplaceCopyGetWorkspaceSize(to.tensor, from.tensor, &bytes, &executor);
         return aclSetAclOpExecutorRepeatable(executor) != 0;
       }},
      {"an executor destroyed twice", "already destroyed aclOpExecutor",
       [] {
         const Product product;
         aclSetAclOpExecutorRepeatable(product.executor);
         aclDestroyAclOpExecutor(product.executor);
         return aclDestroyAclOpExecutor(product.executor) != 0;
       }},
      {"a tensor destroyed before its executor", "that 1 executor(s) still refer to",
       [] {
         const Product product;
         aclSetAclOpExecutorRepeatable(product.executor);
         return aclDestroyTensor(product.a.tensor) == 0;
       }},
      {"a new address for an executor that was not made repeatable", "not made repeatable",
       [] {
         const Product product;
         return aclSetInputTensorAddr(product.executor, 0, product.a.tensor, product.workspace) !=
                0;
       }},
      {"a new address for another tensor", "operand 1 of aclnnMm is another tensor",
       [] {
         const Product product;
         aclSetAclOpExecutorRepeatable(product.executor);
         return aclSetInputTensorAddr(product.executor, 1, product.a.tensor, product.workspace) !=
                0;
       }},
      {"a new address that is not aligned", "no multiple of 32",
       [] {
         const Product product;
         aclSetAclOpExecutorRepeatable(product.executor);
         return aclSetOutputTensorAddr(product.executor, 0, product.out.tensor,
                                       static_cast<char*>(product.workspace) + 16) != 0;
       }},
      {"a workspace that is too small", "where 16384 are needed",
       [] {
         Product product;
         return aclnnMm(product.workspace, product.bytes - 1, product.executor,
                        product.npu.stream) != 0;
       }},
      {"no workspace", "where 16384 are needed",
       [] {
         Product product;
         return aclnnMm(nullptr, product.bytes, product.executor, product.npu.stream) != 0;
       }},
      {"a workspace in freed memory", "the workspace",
       [] {
         Product product;
         aclrtFree(product.workspace);
         return product.run() != 0;
       }},
      {"an operand in freed memory", "that was freed",
       [] {
         Product product;
         aclrtFree(product.a.memory);
         return product.run() != 0;
       }},
      {"what lies in a workspace is overwritten", "",
       [] {
         Product product;
         Operand kept({4}, {1}, 4, product.workspace);
         kept.elements = 4;
         kept.fill(product.npu, 7);
         product.run();
         product.npu.synchronise();
         const float value = kept.first(product.npu);
         return value != value;
       }},
  };
}

}  // namespace latte::twin::rules
