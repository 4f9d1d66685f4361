// Tensors as JavaScript holds them: opaque handles, which the addon's functions take as arguments.
#pragma once

#include <memory>
#include <utility>

#include "backend/backend.h"
#include "binding/handle.h"

namespace latte::binding {

/// A tensor over memory of its own, or over a typed array that belongs to the caller. A caller's
/// array may be detached or shrunk at any time, so its address is asked for at each use.
struct NativeTensor {
  static constexpr napi_type_tag kTag = {0x6c617474652d656d, 0x74656e736f722d32};
  static constexpr const char* kName = "tensor";
  struct ArrayOwner;

  Tensor tensor;          // without an address if the memory is the caller's
  bool foreign = false;   // the memory belongs to another API
  bool moved = false;     // to an ArrayBuffer of JavaScript, as array_buffer() describes
  int64_t accounted = 0;  // bytes that the garbage collector knows of
  std::shared_ptr<ArrayOwner> owner;  // of the ArrayBuffer over the memory, if there is one

  bool borrowed() const { return tensor.buffer == nullptr; }
  /// Takes the handle's memory off the garbage collector's account.
  void released(napi_env env) noexcept;
};

/// A handle with the tensor behind it, valid as long as JavaScript does not run.
class TensorHandle {
 public:
  TensorHandle(napi_env env, napi_value value)
      : env_(env), value_(value), native_(&Handle<NativeTensor>::get(env, value)) {}

  napi_value value() const { return value_; }
  NativeTensor& native() const { return *native_; }
  const TensorSpec& spec() const { return native_->tensor; }
  /// The tensor with its address, which is valid until JavaScript runs. Runs no JavaScript. Throws
  /// ERR_STATE if the caller's array is gone.
  Tensor resolve() const;

 private:
  napi_env env_;
  napi_value value_;
  NativeTensor* native_;
};

/// A handle for a tensor over memory of the library, or (`foreign`) of another API.
napi_value make_tensor(napi_env env, Tensor tensor, bool foreign = false);

/// The device in whose memory a tensor is; the CPU for the caller's arrays.
Device& device_of(const Tensor& tensor);

/// The tensor itself, or a copy if it is not on the host; the calling thread waits.
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
// (tensor: NativeTensor, written: boolean): ArrayBuffer — the tensor's own memory on the host;
// `written`: a forward writes it right now
napi_value array_buffer(const Call& call);
// (tensor: NativeTensor): NativeTensor — another one over the same memory
napi_value alias(const Call& call);
// (tensor: NativeTensor, begin: number, count: number): NativeTensor — over the same memory
napi_value rows(const Call& call);
// (tensor: NativeTensor): void — gives the memory back now; detaches the ArrayBuffer over it
napi_value dispose_tensor(const Call& call);
// (dtype: DType, shape: number[], device: string): NativeTensor
napi_value zeros(const Call& call);
// (pointer: bigint, dtype: DType, shape: number[], device: string, event?: bigint): NativeTensor —
// over memory that another API owns
napi_value from_device_pointer(const Call& call);

}  // namespace latte::binding
