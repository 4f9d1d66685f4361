#include "backend/ascend/acl/executor_cache.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace latte::ascend {

namespace {

/// The most executors that are kept. Calls beyond these make theirs anew each time.
constexpr size_t kMostKept = 1024;

/// The new addresses of a kept executor must be multiples of this (docs/ascend-operations.md).
constexpr uintptr_t kAddressUnit = 32;

// So an address is split into a multiple, base_of(), and the bytes beyond it. Device memory begins
// at multiples, so both are in the same allocation.
uintptr_t bytes_beyond(const void* data) {
  return reinterpret_cast<uintptr_t>(data) % kAddressUnit;
}
void* base_of(void* data) { return static_cast<char*>(data) - bytes_beyond(data); }

size_t acl_item_size(aclDataType dtype) {
  switch (dtype) {
    case ACL_FLOAT16:
    case ACL_BF16:
      return 2;
    case ACL_FLOAT:
    case ACL_INT32:
      return 4;
    case ACL_DOUBLE:
    case ACL_INT64:
      return 8;
  }
  return 0;
}

void append(std::string& key, int64_t value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  key.append(bytes, sizeof value);
}

/// Calls with equal keys differ only in base_of() of their addresses.
std::string key_of(const OperationCall& call) {
  std::string key = call.name;
  key.push_back('\0');
  append(key, call.attribute);
  for (const auto* views : {&call.inputs, &call.outputs}) {
    append(key, static_cast<int64_t>(views->size()));
    for (const OperandView& view : *views) {
      append(key, view.dtype);
      append(key, static_cast<int64_t>(bytes_beyond(view.data)));
      append(key, static_cast<int64_t>(view.dims.size()));
      for (const int64_t dim : view.dims) append(key, dim);
      for (const int64_t stride : view.strides) append(key, stride);
      append(key, view.storage);
    }
  }
  return key;
}

}  // namespace

aclDataType acl_dtype(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
      return ACL_DOUBLE;
    case DType::kFloat32:
      return ACL_FLOAT;
    case DType::kFloat16:
      return ACL_FLOAT16;
    case DType::kBFloat16:
      return ACL_BF16;
    case DType::kInt32:
      return ACL_INT32;
    case DType::kInt64:
      return ACL_INT64;
  }
  fail(ErrorCode::kDType, "a dtype that the NPU does not know");
}

OperandView OperandView::dense(DType dtype, std::vector<int64_t> dims, const void* data) {
  OperandView view;
  view.dtype = acl_dtype(dtype);
  view.strides.resize(dims.size());
  int64_t stride = 1;
  for (size_t axis = dims.size(); axis-- > 0;) {
    view.strides[axis] = stride;
    stride *= dims[axis];
  }
  view.dims = std::move(dims);
  view.data = const_cast<void*>(data);
  return view;
}

OperandView OperandView::flat(const TensorView& tensor) {
  return dense(tensor.dtype, {tensor.size()}, tensor.data);
}

int64_t OperandView::storage_elements() const {
  int64_t last = 0;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (dims[axis] == 0) return 0;
    last += (dims[axis] - 1) * strides[axis];
  }
  return last + 1;
}

size_t OperandView::storage_bytes() const {
  return static_cast<size_t>(storage_elements()) * acl_item_size(dtype);
}

bool OperandView::is_dense() const {
  int64_t stride = 1;
  for (size_t axis = dims.size(); axis-- > 0;) {
    if (dims[axis] != 1 && strides[axis] != stride) return false;
    stride *= dims[axis];
  }
  return true;
}

/// Whether to keep the executor of a call. On the first Ascend 910 a dense output must fill its
/// storage, so it cannot begin beyond a multiple (docs/ascend-operations.md).
bool ExecutorCache::may_keep(const OperationCall& call) const {
  if (!call.repeatable || kept_.size() >= kMostKept) return false;
  return !first_generation_ ||
         std::all_of(call.outputs.begin(), call.outputs.end(), [](const OperandView& output) {
           return bytes_beyond(output.data) == 0 || !output.is_dense();
         });
}

TensorHandle ExecutorCache::make_tensor(const OperandView& view) const {
  const auto offset = static_cast<int64_t>(bytes_beyond(view.data) / acl_item_size(view.dtype));
  const int64_t storage = offset + std::max(view.storage, view.storage_elements());
  aclTensor* tensor =
      acl_.aclCreateTensor(view.dims.data(), view.dims.size(), view.dtype, view.strides.data(),
                           offset, ACL_FORMAT_ND, &storage, 1, base_of(view.data));
  if (tensor == nullptr) throw device_error(acl_, "aclCreateTensor", ACL_ERROR_RT_PARAM_INVALID);
  return {acl_, tensor};
}

void ExecutorCache::run(const OperationCall& call, aclrtStream stream,
                        const std::function<void*(size_t)>& workspace, bool only_kept) {
  const std::string key = call.repeatable ? key_of(call) : std::string();
  const auto found = call.repeatable ? kept_.find(key) : kept_.end();
  const auto launch = [&](aclOpExecutor* executor, uint64_t bytes) {
    void* memory = bytes > 0 ? workspace(bytes) : nullptr;
    check(acl_, call.name, call.run(memory, bytes, executor, stream));
  };
  if (found != kept_.end()) {
    const Kept& kept = found->second;
    aclOpExecutor* executor = kept.executor.get();
    for (size_t i = 0; i < call.inputs.size(); ++i) {
      check(acl_, call.name,
            acl_.aclSetInputTensorAddr(executor, i, kept.tensors[i].get(),
                                       base_of(call.inputs[i].data)));
    }
    for (size_t i = 0; i < call.outputs.size(); ++i) {
      check(acl_, call.name,
            acl_.aclSetOutputTensorAddr(executor, i, kept.tensors[call.inputs.size() + i].get(),
                                        base_of(call.outputs[i].data)));
    }
    launch(executor, kept.workspace_bytes);
    return;
  }

  if (only_kept) fail(ErrorCode::kState, call.name, " has no executor that can be used again");
  Kept made;
  std::vector<aclTensor*> tensors;
  for (const auto* views : {&call.inputs, &call.outputs}) {
    for (const OperandView& view : *views) {
      made.tensors.push_back(make_tensor(view));
      tensors.push_back(made.tensors.back().get());
    }
  }
  aclOpExecutor* executor = nullptr;
  check(acl_, call.name, call.make(tensors, &made.workspace_bytes, &executor));
  // An executor that is not kept must be run: CANN destroys it after its run, and only then.
  if (may_keep(call) && acl_.aclSetAclOpExecutorRepeatable(executor) == ACL_SUCCESS) {
    made.executor = ExecutorHandle(acl_, executor);
    launch(executor, made.workspace_bytes);
    kept_.emplace(key, std::move(made));
  } else {
    // CANN destroys the executor after this launch.
    launch(executor, made.workspace_bytes);
  }
}

const aclScalar* ExecutorCache::one() {
  if (!one_) one_ = create_scalar(acl_, 1);
  return one_.get();
}

void ExecutorCache::trim() {
  constexpr size_t kMostIdle = 256;
  if (kept_.size() > kMostIdle) kept_.clear();
}

}  // namespace latte::ascend
