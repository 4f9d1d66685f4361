// libnnopbase: tensors, scalars and arrays.
#include <cstring>

#include "nnop/tensors.h"
#include "runtime/devices.h"

namespace latte::twin {

namespace {

std::string leftovers() {
  std::string words;
  const auto add = [&](size_t number, const char* what) {
    if (number > 0) words += (words.empty() ? "" : ", ") + std::to_string(number) + " " + what;
  };
  add(tensors().size(), "aclTensor(s)");
  add(scalars().size(), "aclScalar(s)");
  add(arrays().size(), "aclIntArray(s)");
  add(executors().size(), "aclOpExecutor(s)");
  return words;
}

[[maybe_unused]] const bool registered = [] {
  set_operation_leftovers(leftovers);
  return true;
}();

/// Whether a fault is due for a creation, which then returns null. The fault's code is not used.
bool is_to_fail(const char* function) {
  count(std::string("call ") + function);
  if (take_fault(function, nullptr, -1).code == 0) return false;
  failure(0, format("%s: an injected fault", function));
  return true;
}

bool is_known(aclDataType dtype) { return item_size(dtype) != 0; }

}  // namespace

size_t item_size(aclDataType dtype) {
  switch (dtype) {
    case ACL_FLOAT:
    case ACL_INT32:
      return 4;
    case ACL_FLOAT16:
    case ACL_BF16:
      return 2;
    case ACL_INT64:
    case ACL_DOUBLE:
      return 8;
  }
  return 0;
}

const char* dtype_name(aclDataType dtype) {
  switch (dtype) {
    case ACL_FLOAT:
      return "FLOAT";
    case ACL_INT32:
      return "INT32";
    case ACL_FLOAT16:
      return "FLOAT16";
    case ACL_BF16:
      return "BFLOAT16";
    case ACL_INT64:
      return "INT64";
    case ACL_DOUBLE:
      return "DOUBLE";
  }
  return "unknown";
}

int64_t View::elements() const {
  int64_t count = 1;
  for (const int64_t dim : dims) count *= dim;
  return count;
}

int64_t View::extent() const {
  if (elements() == 0) return 0;
  int64_t last = 0;
  for (size_t axis = 0; axis < dims.size(); ++axis) last += (dims[axis] - 1) * strides[axis];
  return last + 1;
}

bool View::is_contiguous() const {
  int64_t stride = 1;
  for (size_t axis = dims.size(); axis-- > 0;) {
    if (dims[axis] != 1 && strides[axis] != stride) return false;
    stride *= dims[axis];
  }
  return true;
}

const void* View::begin() const {
  return static_cast<const char*>(data) + offset * static_cast<int64_t>(item_size(dtype));
}

std::string describe(const View& view) {
  std::string words = dtype_name(view.dtype);
  words += " [";
  for (size_t axis = 0; axis < view.dims.size(); ++axis) {
    words += (axis == 0 ? "" : ", ") + std::to_string(view.dims[axis]);
  }
  return words + "]";
}

Handles<TensorObject>& tensors() {
  static auto* handles = new Handles<TensorObject>(HandleKind::kTensor, "aclTensor");
  return *handles;
}

Handles<ScalarObject>& scalars() {
  static auto* handles = new Handles<ScalarObject>(HandleKind::kScalar, "aclScalar");
  return *handles;
}

Handles<ArrayObject>& arrays() {
  static auto* handles = new Handles<ArrayObject>(HandleKind::kArray, "aclIntArray");
  return *handles;
}

}  // namespace latte::twin

using namespace latte::twin;

namespace latte::ascend {

extern "C" {

aclTensor* aclCreateTensor(const int64_t* dims, uint64_t rank, aclDataType dtype,
                           const int64_t* strides, int64_t offset, aclFormat format,
                           const int64_t* storage_dims, uint64_t storage_rank, void* data) {
  if (is_to_fail("aclCreateTensor")) return nullptr;
  const auto refuse = [](const std::string& words) {
    misuse(ACLNN_ERR_PARAM_INVALID, "aclCreateTensor: " + words);
    return static_cast<aclTensor*>(nullptr);
  };
  if ((dims == nullptr && rank > 0) || (storage_dims == nullptr && storage_rank > 0)) {
    return refuse("dims are null");
  }
  // "The dimension cannot exceed 8" (aclnn operations' documentation, 8.x, every tensor).
  if (rank > 8 || storage_rank > 8) return refuse("more than 8 dims");
  if (!is_known(dtype)) return refuse("an unknown dtype");
  if (format != ACL_FORMAT_ND) return refuse("an unknown format");
  auto tensor = std::make_shared<TensorObject>();
  View& view = tensor->view;
  view.dtype = dtype;
  view.offset = offset;
  view.data = data;
  int64_t stride = 1;
  view.strides.resize(rank);
  for (uint64_t axis = rank; axis-- > 0;) {
    if (dims[axis] < 0) return refuse("a negative dim");
    view.strides[axis] = strides == nullptr ? stride : strides[axis];
    if (view.strides[axis] < 0) return refuse("a negative stride");
    stride *= dims[axis];
  }
  view.dims.assign(dims, dims + rank);
  int64_t storage = 1;
  for (uint64_t axis = 0; axis < storage_rank; ++axis) storage *= storage_dims[axis];
  view.storage = storage;
  if (offset < 0 || (view.elements() > 0 && offset + view.extent() > storage)) {
    return refuse(describe(view) + " reaches beyond its storage of " + std::to_string(storage) +
                  " element(s)");
  }
  if (reinterpret_cast<uint64_t>(data) % item_size(dtype) != 0) {
    return refuse("data that is not aligned to its dtype");
  }
  return static_cast<aclTensor*>(tensors().add(std::move(tensor)));
}

aclnnStatus aclDestroyTensor(const aclTensor* tensor) {
  count("call aclDestroyTensor");
  if (tensor == nullptr) return ACL_SUCCESS;
  const auto object = tensors().remove(tensor, "aclDestroyTensor");
  if (object == nullptr) return ACLNN_ERR_PARAM_INVALID;
  // The addon may destroy a tensor when no executor needs it. A one-shot executor needs it until
  // its second function has returned, a repeatable one until it is destroyed.
  if (object->users > 0) {
    latte_twin_violation("aclDestroyTensor of a tensor that %d executor(s) still refer to",
                         object->users);
  }
  return ACL_SUCCESS;
}

aclScalar* aclCreateScalar(void* value, aclDataType dtype) {
  if (is_to_fail("aclCreateScalar")) return nullptr;
  auto scalar = std::make_shared<ScalarObject>();
  scalar->dtype = dtype;
  const auto as = [&](auto typed) {
    std::memcpy(&typed, value, sizeof typed);
    return static_cast<double>(typed);
  };
  switch (dtype) {
    case ACL_FLOAT:
      scalar->value = as(0.0f);
      break;
    case ACL_DOUBLE:
      scalar->value = as(0.0);
      break;
    case ACL_INT32:
      scalar->value = as(int32_t{0});
      break;
    case ACL_INT64:
      scalar->value = as(int64_t{0});
      break;
    default:
      misuse(ACLNN_ERR_PARAM_INVALID, "aclCreateScalar: a dtype that the twin does not know");
      return nullptr;
  }
  return static_cast<aclScalar*>(scalars().add(std::move(scalar)));
}

aclnnStatus aclDestroyScalar(const aclScalar* scalar) {
  count("call aclDestroyScalar");
  if (scalar == nullptr) return ACL_SUCCESS;
  return scalars().remove(scalar, "aclDestroyScalar") ? ACL_SUCCESS : ACLNN_ERR_PARAM_INVALID;
}

aclIntArray* aclCreateIntArray(const int64_t* values, uint64_t size) {
  if (is_to_fail("aclCreateIntArray")) return nullptr;
  auto array = std::make_shared<ArrayObject>();
  array->values.assign(values, values + size);
  return static_cast<aclIntArray*>(arrays().add(std::move(array)));
}

aclnnStatus aclDestroyIntArray(const aclIntArray* array) {
  count("call aclDestroyIntArray");
  if (array == nullptr) return ACL_SUCCESS;
  return arrays().remove(array, "aclDestroyIntArray") ? ACL_SUCCESS : ACLNN_ERR_PARAM_INVALID;
}
}

}  // namespace latte::ascend
