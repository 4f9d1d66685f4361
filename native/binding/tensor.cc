#include "binding/tensor.h"

#include <cstring>

#include "backend/registry.h"

namespace latte::binding {

namespace {

/// The property of a handle that keeps the caller's array, or the ArrayBuffer over the tensor's
/// memory. A property and not a reference, because the garbage collector must be able to follow it.
/// It is read-only, so that reading it runs no JavaScript.
constexpr const char* kData = "data";

void keep(napi_env env, napi_value handle, napi_value data) {
  const napi_property_descriptor property{kData,   nullptr, nullptr,      nullptr,
                                          nullptr, data,    napi_default, nullptr};
  LATTE_NAPI(env, napi_define_properties, handle, 1, &property);
}

struct Bytes {
  void* data = nullptr;
  size_t count = 0;
};

/// The memory that the caller's array spans right now.
Bytes bytes_of(napi_env env, napi_value data) {
  Bytes bytes;
  bool is_buffer = false;
  LATTE_NAPI(env, napi_is_arraybuffer, data, &is_buffer);
  if (is_buffer) {
    LATTE_NAPI(env, napi_get_arraybuffer_info, data, &bytes.data, &bytes.count);
    return bytes;
  }
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  LATTE_NAPI(env, napi_get_typedarray_info, data, &type, &length, &bytes.data, nullptr, nullptr);
  switch (type) {
    case napi_int8_array:
    case napi_uint8_array:
    case napi_uint8_clamped_array:
      bytes.count = length;
      break;
    case napi_int16_array:
    case napi_uint16_array:
      bytes.count = length * 2;
      break;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array:
      bytes.count = length * 4;
      break;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array:
      bytes.count = length * 8;
      break;
    default:
      fail(ErrorCode::kDType, "typed arrays of this kind are not read");
  }
  return bytes;
}

/// The tensor with its address. Throws ERR_STATE if the memory is an array of JavaScript.
Tensor owned_part(const TensorHandle& handle) {
  if (handle.native().borrowed()) {
    fail(ErrorCode::kState, "the memory of this tensor belongs to the caller");
  }
  return handle.resolve();
}

/// The address in a bigint. Throws ERR_VALUE if it is 0 or too large; `name` is for the message.
void* address_of(napi_env env, napi_value value, const char* name) {
  bool lossless = false;
  uint64_t bits = 0;
  LATTE_NAPI(env, napi_get_value_bigint_uint64, value, &bits, &lossless);
  if (!lossless || bits == 0) fail(ErrorCode::kValue, name, " is not the address of anything");
  return reinterpret_cast<void*>(static_cast<uintptr_t>(bits));
}

}  // namespace

/// Keeps a tensor's memory for the ArrayBuffer over it. The tensor and the ArrayBuffer share this
/// object, because either may end first.
struct NativeTensor::ArrayOwner {
  std::shared_ptr<Buffer> buffer;

  static void finalize(napi_env, void*, void* owner) noexcept {
    delete static_cast<std::shared_ptr<ArrayOwner>*>(owner);
  }
};

void NativeTensor::released(napi_env env) noexcept {
  int64_t total = 0;
  if (accounted != 0) napi_adjust_external_memory(env, -accounted, &total);
  accounted = 0;
}

Device& device_of(const Tensor& tensor) {
  return tensor.device == nullptr ? open_device("cpu") : *tensor.device;
}

Tensor on_host(const Tensor& tensor) {
  Device& from = device_of(tensor);
  if (from.runs_on_caller()) return tensor;
  Tensor copy = tensor;
  copy.buffer = from.allocate_staging(tensor.bytes());
  copy.data = copy.buffer->data();
  copy.device = &open_device("cpu");
  run_and_wait(from, [&](Queue& queue) {
    tensor.buffer->await_content();
    queue.download(tensor, copy.data);
  });
  return copy;
}

Device& device_named(napi_env env, napi_value name) { return open_device(string_of(env, name)); }

Tensor TensorHandle::resolve() const {
  Tensor resolved = native_->tensor;
  if (!native_->borrowed()) return resolved;
  const Bytes bytes = bytes_of(env_, property_of(env_, value_, kData));
  if (bytes.count < resolved.bytes()) {
    fail(ErrorCode::kState, "the array behind a tensor of shape ", ShowShape{resolved.shape},
         " was detached or shrunk");
  }
  resolved.data = bytes.data;
  return resolved;
}

napi_value make_tensor(napi_env env, Tensor tensor, MemoryOwner memory_owner) {
  auto native = std::make_unique<NativeTensor>();
  native->memory_owner = memory_owner;
  native->tensor = std::move(tensor);
  NativeTensor& made = *native;
  const napi_value handle = Handle<NativeTensor>::make(env, std::move(native));
  int64_t total = 0;
  const bool reported = memory_owner == MemoryOwner::kLibrary;
  const auto bytes = reported ? static_cast<int64_t>(made.tensor.bytes()) : 0;
  if (bytes > 0 && napi_adjust_external_memory(env, bytes, &total) == napi_ok) {
    made.accounted = bytes;
  }
  return handle;
}

napi_value tensor_from(const Call& call) {
  auto native = std::make_unique<NativeTensor>();
  native->tensor.dtype = dtype_of(call.env, call[0]);
  native->tensor.shape = shape_of(call.env, call[1]);
  (void)native->tensor.bytes();  // throws if the product overflows
  bool is_array = false;
  LATTE_NAPI(call.env, napi_is_typedarray, call[2], &is_array);
  if (!is_array) fail(ErrorCode::kValue, "data must be a typed array");
  const napi_value handle = Handle<NativeTensor>::make(call.env, std::move(native));
  keep(call.env, handle, call[2]);
  return handle;
}

napi_value tensor_dtype(const Call& call) {
  const TensorHandle handle(call.env, call[0]);
  return make(call.env, std::string(dtype_name(handle.spec().dtype)));
}

napi_value tensor_shape(const Call& call) {
  return make(call.env, TensorHandle(call.env, call[0]).spec().shape);
}

napi_value tensor_device(const Call& call) {
  return make(call.env, device_of(TensorHandle(call.env, call[0]).native().tensor).name());
}

napi_value device_pointer(const Call& call) {
  const Tensor tensor = TensorHandle(call.env, call[0]).resolve();
  if (device_of(tensor).runs_on_caller()) fail(ErrorCode::kState, "the memory is the host's");
  napi_value pointer = nullptr;
  LATTE_NAPI(call.env, napi_create_bigint_uint64, reinterpret_cast<uintptr_t>(tensor.data),
             &pointer);
  return pointer;
}

napi_value array_buffer(const Call& call) {
  const TensorHandle handle(call.env, call[0]);
  NativeTensor& native = handle.native();
  if (native.owner != nullptr || native.moved) {
    return property_of(call.env, handle.value(), kData);
  }
  const Tensor tensor = owned_part(handle);
  if (!device_of(tensor).runs_on_caller()) fail(ErrorCode::kState, "the memory is not the host's");
  auto owner = std::make_shared<NativeTensor::ArrayOwner>();
  owner->buffer = tensor.buffer;
  auto shared = std::make_unique<std::shared_ptr<NativeTensor::ArrayOwner>>(owner);
  napi_value buffer = nullptr;
  const napi_status status =
      napi_create_external_arraybuffer(call.env, tensor.data, tensor.bytes(),
                                       NativeTensor::ArrayOwner::finalize, shared.get(), &buffer);
  if (status == napi_no_external_buffers_allowed) {
    // Electron, for example, does not allow ArrayBuffers over memory of others. So the tensor's
    // content moves to memory of JavaScript. Other tensors over the old memory keep that memory.
    if (boolean_of(call.env, call[1])) {
      fail(ErrorCode::kState, "data cannot be read while a forward writes it");
    }
    void* copy = nullptr;
    LATTE_NAPI(call.env, napi_create_arraybuffer, tensor.bytes(), &copy, &buffer);
    keep(call.env, handle.value(), buffer);
    if (tensor.bytes() > 0) std::memcpy(copy, tensor.data, tensor.bytes());
    native.released(call.env);
    native.tensor.buffer.reset();
    native.tensor.data = nullptr;
    native.tensor.device = nullptr;
    native.moved = true;
    return buffer;
  }
  check(call.env, status, "napi_create_external_arraybuffer");
  (void)shared.release();  // finalize() deletes it
  keep(call.env, handle.value(), buffer);
  native.owner = std::move(owner);
  // V8 counts the bytes of the ArrayBuffer itself.
  native.released(call.env);
  return buffer;
}

napi_value alias(const Call& call) {
  const TensorHandle handle(call.env, call[0]);
  if (!handle.native().moved) {
    return make_tensor(call.env, owned_part(handle), handle.native().memory_owner);
  }
  auto native = std::make_unique<NativeTensor>(handle.native());
  const napi_value data = property_of(call.env, handle.value(), kData);
  const napi_value copy = Handle<NativeTensor>::make(call.env, std::move(native));
  keep(call.env, copy, data);
  return copy;
}

napi_value rows(const Call& call) {
  const TensorHandle handle(call.env, call[0]);
  const int64_t begin = integer_of(call.env, call[1]);
  const int64_t count = integer_of(call.env, call[2]);
  Tensor part = owned_part(handle);
  if (part.shape.empty() || begin < 0 || count < 0 || count > part.shape[0] - begin) {
    fail(ErrorCode::kValue, "there are no ", count, " rows from ", begin, " in a tensor of shape ",
         ShowShape{part.shape});
  }
  const size_t row_bytes = part.shape[0] == 0 ? 0 : part.bytes() / part.shape[0];
  part.shape[0] = count;
  part.data = static_cast<char*>(part.data) + static_cast<size_t>(begin) * row_bytes;
  return make_tensor(call.env, std::move(part), handle.native().memory_owner);
}

napi_value dispose_tensor(const Call& call) {
  const TensorHandle handle(call.env, call[0]);
  const NativeTensor& native = handle.native();
  if (native.owner != nullptr) {
    const napi_value buffer = property_of(call.env, handle.value(), kData);
    bool detached = false;
    LATTE_NAPI(call.env, napi_is_detached_arraybuffer, buffer, &detached);
    // An ArrayBuffer that was transferred is already detached: another one owns its memory now.
    if (!detached) {
      LATTE_NAPI(call.env, napi_detach_arraybuffer, buffer);
      native.owner->buffer.reset();
    }
  }
  Handle<NativeTensor>::free(call.env, call[0]);
  return nullptr;
}

napi_value zeros(const Call& call) {
  const DType dtype = dtype_of(call.env, call[0]);
  const Shape shape = shape_of(call.env, call[1]);
  Device& device = device_named(call.env, call[2]);
  Tensor tensor = allocate(device, {dtype, shape});
  run_and_wait(device, [&](Queue& queue) { queue.fill_zero(tensor); });
  return make_tensor(call.env, std::move(tensor));
}

napi_value from_device_pointer(const Call& call) {
  Tensor tensor;
  tensor.data = address_of(call.env, call[0], "pointer");
  tensor.dtype = dtype_of(call.env, call[1]);
  tensor.shape = shape_of(call.env, call[2]);
  tensor.device = &device_named(call.env, call[3]);
  void* event = is_undefined(call.env, call[4]) ? nullptr : address_of(call.env, call[4], "event");
  const auto pointer = reinterpret_cast<uintptr_t>(tensor.data);
  if (pointer % item_size(tensor.dtype) != 0) {
    fail(ErrorCode::kValue, "pointer must be a multiple of the ", item_size(tensor.dtype),
         " bytes of a ", dtype_name(tensor.dtype));
  }
  uintptr_t end = 0;
  if (__builtin_add_overflow(pointer, tensor.bytes(), &end)) {
    fail(ErrorCode::kValue, "a tensor of shape ", ShowShape{tensor.shape},
         " at pointer passes the end of all memory");
  }
  tensor.buffer = tensor.device->borrow(tensor.data, tensor.bytes(), event);
  return make_tensor(call.env, std::move(tensor), MemoryOwner::kOtherApi);
}

}  // namespace latte::binding
