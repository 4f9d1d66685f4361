// Calls of Node-API that throw C++ exceptions on failure.
//
// Only the module's entry and Napi::Env come from node-addon-api. Values are napi_value, and calls
// are Node-API's own. A failed call of Napi::Value would construct a Napi::Error, whose constructor
// ends the process if a further call fails. The process must survive a lack of memory.
#pragma once

#include <napi.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/tensor_view.h"

namespace latte::binding {

struct Environment;

/// Thrown if a JavaScript exception is already pending, or if JavaScript cannot run any more.
struct Pending {};

/// Unless `status` is napi_ok, throws Pending; ERR_VALUE if a value has the wrong type; else
/// ERR_STATE. `call` is the function's name, for the message.
void check(napi_env env, napi_status status, const char* call);

#define LATTE_NAPI(env, function, ...) \
  ::latte::binding::check(env, function(env, __VA_ARGS__), #function)

/// A call from JavaScript; call[i] is argument i, undefined if it was not given.
struct Call {
  Call(napi_env env, napi_callback_info info);

  napi_value operator[](size_t i) const { return values[i]; }

  Napi::Env env;
  Environment* environment = nullptr;
  std::array<napi_value, 8> values{};  // of the arguments
};

/// Throws the exception that is being handled in JavaScript. To be called inside a catch block.
void throw_current(Environment& environment) noexcept;

/// The exception that is being handled, as an Error. A pending JavaScript exception is cleared. To
/// be called inside a catch block.
Error caught_error(napi_env env) noexcept;

/// A function as Node-API calls it: no C++ exception leaves it.
template <napi_value (*function)(const Call&)>
napi_value exported(napi_env env, napi_callback_info info) noexcept {
  void* environment = nullptr;
  try {
    check(env, napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &environment),
          "napi_get_cb_info");
    return function(Call(env, info));
  } catch (...) {
    if (environment != nullptr) {
      throw_current(*static_cast<Environment*>(environment));
    } else {
      napi_throw_error(env, "ERR_STATE", "Node-API's napi_get_cb_info failed");
    }
  }
  return nullptr;
}

// Reading values. A value of the wrong type throws ERR_VALUE; a getter that throws, Pending.
bool is_undefined(napi_env env, napi_value value);
std::string string_of(napi_env env, napi_value value);
int64_t integer_of(napi_env env, napi_value value);
double number_of(napi_env env, napi_value value);
bool boolean_of(napi_env env, napi_value value);
uint32_t length_of(napi_env env, napi_value array);
napi_value element_of(napi_env env, napi_value array, uint32_t index);
napi_value property_of(napi_env env, napi_value object, const char* name);
DType dtype_of(napi_env env, napi_value value);
Shape shape_of(napi_env env, napi_value value);

// Making values.
napi_value undefined(napi_env env);
napi_value make(napi_env env, const std::string& text);
napi_value make(napi_env env, double number);
napi_value make_boolean(napi_env env, bool value);
napi_value make(napi_env env, const Shape& shape);
napi_value make_object(napi_env env);
napi_value make_array(napi_env env, size_t length);
/// Define an own data property or element. Unlike an assignment, this runs no setter of a
/// prototype.
void define(napi_env env, napi_value object, const char* name, napi_value value);
void define_element(napi_env env, napi_value array, uint32_t index, napi_value value);

/// A strong reference to a JavaScript value. Must be destroyed on the JavaScript thread.
class Reference {
 public:
  Reference() = default;
  Reference(napi_env env, napi_value value) : env_(env) {
    LATTE_NAPI(env, napi_create_reference, value, 1, &reference_);
  }
  Reference(Reference&& other) noexcept : env_(other.env_), reference_(other.reference_) {
    other.reference_ = nullptr;
  }
  Reference& operator=(Reference&& other) noexcept {
    std::swap(env_, other.env_);
    std::swap(reference_, other.reference_);
    return *this;
  }
  ~Reference() {
    if (reference_ != nullptr) napi_delete_reference(env_, reference_);
  }

  explicit operator bool() const { return reference_ != nullptr; }
  napi_value value() const;

 private:
  napi_env env_ = nullptr;
  napi_ref reference_ = nullptr;
};

}  // namespace latte::binding
