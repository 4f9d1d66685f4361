// Node-API's calls, with failures as exceptions.
//
// From node-addon-api come the module's entry and Napi::Env. Values are napi_value, and calls are
// Node-API's own: a call of Napi::Value that fails makes a Napi::Error, whose constructor ends the
// process if a further call fails. Memory that is used up must be survivable.
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

/// Thrown if a JavaScript exception is pending already, or if JavaScript cannot run any more.
struct Pending {};

/// Throws Pending or ERR_STATE unless `status` is napi_ok.
void check(napi_env env, napi_status status, const char* call);

#define LATTE_NAPI(env, function, ...) \
  ::latte::binding::check(env, function(env, __VA_ARGS__), #function)

/// A call from JavaScript. Arguments that were not given are undefined.
struct Call {
  Call(napi_env env, napi_callback_info info);

  napi_value operator[](size_t i) const { return arguments[i]; }

  Napi::Env env;
  Environment* environment = nullptr;
  std::array<napi_value, 8> arguments{};
};

/// Makes the exception that is being handled JavaScript's. To be called inside a catch block.
void throw_current(Environment& environment) noexcept;

/// The same as an Error: it is JavaScript's no more.
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

napi_value undefined(napi_env env);
napi_value make(napi_env env, const std::string& text);
napi_value make(napi_env env, double number);
napi_value make_boolean(napi_env env, bool value);
napi_value make(napi_env env, const Shape& shape);
napi_value make_object(napi_env env);
napi_value make_array(napi_env env, size_t length);
/// Defines own data properties: a setter on a prototype never runs.
void define(napi_env env, napi_value object, const char* name, napi_value value);
void define_element(napi_env env, napi_value array, uint32_t index, napi_value value);

/// A strong reference, which dies on the JavaScript thread.
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
