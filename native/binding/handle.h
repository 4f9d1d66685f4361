// JavaScript objects that own a native object: plain objects without methods, recognised by their
// type tag.
#pragma once

#include <memory>

#include "binding/js.h"

namespace latte::binding {

/// Handles of a T. T has the type tag kTag, kName for messages, and released(env), which is called
/// before a T is destroyed.
template <class T>
class Handle {
 public:
  static napi_value make(napi_env env, std::unique_ptr<T> native) {
    const napi_value object = make_object(env);
    LATTE_NAPI(env, napi_type_tag_object, object, &T::kTag);
    LATTE_NAPI(env, napi_wrap, object, native.get(), finalize, nullptr, nullptr);
    (void)native.release();  // finalize() or free() deletes it
    return object;
  }

  /// The T of a handle. Throws ERR_VALUE if `value` is no handle of a T, and ERR_DISPOSED after
  /// free().
  static T& get(napi_env env, napi_value value) {
    require(env, value);
    void* native = nullptr;
    if (napi_unwrap(env, value, &native) != napi_ok) {
      fail(ErrorCode::kDisposed, "the ", T::kName, " was disposed");
    }
    return *static_cast<T*>(native);
  }

  /// Destroys the T now. Otherwise it is destroyed after the garbage collector found its handle.
  static void free(napi_env env, napi_value value) {
    require(env, value);
    void* native = nullptr;
    if (napi_remove_wrap(env, value, &native) == napi_ok) finalize(env, native, nullptr);
  }

 private:
  static void require(napi_env env, napi_value value) {
    napi_valuetype type = napi_undefined;
    LATTE_NAPI(env, napi_typeof, value, &type);
    bool matches = false;
    if (type == napi_object) LATTE_NAPI(env, napi_check_object_type_tag, value, &T::kTag, &matches);
    if (!matches) fail(ErrorCode::kValue, "not a ", T::kName, " of this library");
  }

  static void finalize(napi_env env, void* native, void*) noexcept {
    const std::unique_ptr<T> owned(static_cast<T*>(native));
    owned->released(env);
  }
};

}  // namespace latte::binding
