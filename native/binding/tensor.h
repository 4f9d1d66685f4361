// Tensors in JavaScript: opaque handles, which the addon's functions take as arguments.
#pragma once

#include <memory>
#include <utility>

#include "backend/backend.h"
#include "binding/handle.h"

namespace latte::binding {

/// Who owns the memory behind a tensor's buffer.
enum class MemoryOwner { kLibrary, kOtherApi };

/// The native part of a tensor. Its memory is the library's, the caller's (a typed array) or, on a
/// device, another API's. A caller's array may be detached or shrunk at any time, so its address is
/// read at each use.
struct NativeTensor {
  static constexpr napi_type_tag kTag = {0x6c617474652d656d, 0x74656e736f722d32};
  static constexpr const char* kName = "tensor";
  struct ArrayOwner;

  Tensor tensor;  // without an address if the memory is an array of JavaScript
  MemoryOwner memory_owner = MemoryOwner::kLibrary;
  bool moved = false;     // whether array_buffer() has moved the content to JavaScript's memory
  int64_t accounted = 0;  // bytes that were reported to the garbage collector
  std::shared_ptr<ArrayOwner> owner;  // of the ArrayBuffer over the memory; null: there is none

  /// Whether the memory is an array of JavaScript, which resolve() looks up.
  bool borrowed() const { return tensor.buffer == nullptr; }
  /// Tells the garbage collector that the memory does not belong to the handle any more.
  void released(napi_env env) noexcept;
};

/// A JavaScript handle together with its native tensor. Valid until JavaScript runs.
class TensorHandle {
 public:
  TensorHandle(napi_env env, napi_value value)
      : env_(env), value_(value), native_(&Handle<NativeTensor>::get(env, value)) {}

  napi_value value() const { return value_; }
  NativeTensor& native() const { return *native_; }
  const TensorSpec& spec() const { return native_->tensor; }
  /// The tensor with its address, which is valid until JavaScript runs. Runs no JavaScript itself.
  /// Throws ERR_STATE if the caller's array was detached or shrunk.
  Tensor resolve() const;

 private:
  napi_env env_;
  napi_value value_;
  NativeTensor* native_;
};

/// Makes a handle for a tensor whose memory has a buffer. Only memory of the library is reported to
/// the garbage collector.
napi_value make_tensor(napi_env env, Tensor tensor,
                       MemoryOwner memory_owner = MemoryOwner::kLibrary);

/// The device in whose memory a tensor is; the CPU for the caller's arrays.
Device& device_of(const Tensor& tensor);

/// The tensor itself if it is on the host; else a copy, for which the calling thread waits.
Tensor on_host(const Tensor& tensor);

/// The device that a string names.
Device& device_named(napi_env env, napi_value name);

// (dtype: DType, shape: number[], data: TensorData): NativeTensor — over memory of the caller
napi_value tensor_from(const Call& call);
// (tensor: NativeTensor): DType
napi_value tensor_dtype(const Call& call);
// (tensor: NativeTensor): number[]
napi_value tensor_shape(const Call& call);
// (tensor: NativeTensor): string
napi_value tensor_device(const Call& call);
// (tensor: NativeTensor): bigint — the address in the device's memory; not for the host's
napi_value device_pointer(const Call& call);
// (tensor: NativeTensor, written: boolean): ArrayBuffer — over the tensor's own memory, on the
// host; `written` is true if a forward writes that memory right now
napi_value array_buffer(const Call& call);
// (tensor: NativeTensor): NativeTensor — another tensor over the same memory
napi_value alias(const Call& call);
// (tensor: NativeTensor, begin: number, count: number): NativeTensor — rows [begin, begin + count)
// of the first axis, over the same memory
napi_value rows(const Call& call);
// (tensor: NativeTensor): void — gives the memory back now; detaches the ArrayBuffer over it
napi_value dispose_tensor(const Call& call);
// (dtype: DType, shape: number[], device: string): NativeTensor
napi_value zeros(const Call& call);
// (pointer: bigint, dtype: DType, shape: number[], device: string, event?: bigint): NativeTensor —
// over memory that another API owns
napi_value from_device_pointer(const Call& call);

}  // namespace latte::binding
