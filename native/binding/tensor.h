// Tensors as JavaScript holds them.
#pragma once

#include <napi.h>

#include <memory>

#include "backend/backend.h"

namespace latte::binding {

/// A tensor over memory of its own, or over a typed array that belongs to the caller. A caller's
/// array may be detached or shrunk at any time, so its address is asked for at each use.
class TensorObject final : public Napi::ObjectWrap<TensorObject> {
 public:
  static Napi::Function define(Napi::Env env);
  /// A JavaScript tensor over memory of the library.
  static Napi::Object make(Napi::Env env, Tensor tensor);
  /// One over memory that another API owns.
  static Napi::Object make_foreign(Napi::Env env, Tensor tensor);
  /// The tensor behind a JavaScript value; throws TypeError for any other value.
  static TensorObject& unwrap(const Napi::Value& value);

  explicit TensorObject(const Napi::CallbackInfo& info);
  ~TensorObject() override;

  /// Whether the memory belongs to the caller.
  bool borrowed() const { return tensor_.buffer == nullptr; }
  const TensorSpec& spec() const { return tensor_; }
  /// The tensor with its address; throws ERR_STATE where the caller's array is gone, ERR_DISPOSED.
  Tensor resolve();

 private:
  struct ArrayOwner;

  Napi::Value dtype(const Napi::CallbackInfo& info);
  Napi::Value shape(const Napi::CallbackInfo& info);
  Napi::Value device(const Napi::CallbackInfo& info);
  Napi::Value device_pointer(const Napi::CallbackInfo& info);
  Napi::Value array_buffer(const Napi::CallbackInfo& info);
  Napi::Value alias(const Napi::CallbackInfo& info);
  Napi::Value rows(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);
  void account(int64_t bytes);

  Napi::Object make_alike(Napi::Env env, Tensor tensor) const;

  Tensor tensor_;
  bool foreign_ = false;  // the memory is another API's
  bool disposed_ = false;
  int64_t accounted_ = 0;        // bytes that the garbage collector was told of
  ArrayOwner* owner_ = nullptr;  // of the ArrayBuffer; handed out once
};

/// The device in whose memory a tensor is; the CPU for the caller's arrays.
Device& place(const Tensor& tensor);

DType dtype_argument(const Napi::Value& value);
Shape shape_argument(const Napi::Value& value);

}  // namespace latte::binding
