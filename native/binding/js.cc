#include "binding/js.h"

#include "binding/environment.h"

namespace latte::binding {

namespace {

// Constructed when the addon is loaded, because later there may be no memory for it.
const Error javascript_failed(ErrorCode::kState, "JavaScript threw, or cannot run any more");

}  // namespace

void check(napi_env env, napi_status status, const char* call) {
  if (status == napi_ok) return;
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending || status == napi_cannot_run_js || status == napi_closing) throw Pending{};
  const char* what = nullptr;
  switch (status) {
    case napi_object_expected:
      what = "an object was expected";
      break;
    case napi_string_expected:
      what = "a string was expected";
      break;
    case napi_number_expected:
      what = "a number was expected";
      break;
    case napi_boolean_expected:
      what = "a boolean was expected";
      break;
    case napi_array_expected:
      what = "an array was expected";
      break;
    case napi_bigint_expected:
      what = "a bigint was expected";
      break;
    default:
      fail(ErrorCode::kState, "Node-API's ", call, " failed with status ", int{status});
  }
  fail(ErrorCode::kValue, "the addon was called with a wrong argument: ", what);
}

Call::Call(napi_env environment_of_node, napi_callback_info info) : env(environment_of_node) {
  size_t count = values.size();
  void* data = nullptr;
  LATTE_NAPI(env, napi_get_cb_info, info, &count, values.data(), nullptr, &data);
  environment = static_cast<Environment*>(data);
}

void throw_current(Environment& environment) noexcept {
  const napi_env env = environment.env;
  try {
    throw;
  } catch (const Pending&) {
    // JavaScript's own exception is still pending, and will be thrown there.
  } catch (...) {
    const Error error = current_error();
    const napi_value made = make_error(environment, error);
    if (made != nullptr && napi_throw(env, made) == napi_ok) return;
    napi_throw_error(env, error_code_name(error.code()), error.what());
  }
}

Error caught_error(napi_env env) noexcept {
  try {
    throw;
  } catch (const Pending&) {
    napi_value thrown = nullptr;
    napi_get_and_clear_last_exception(env, &thrown);
    return javascript_failed;
  } catch (...) {
    return current_error();
  }
}

bool is_undefined(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  LATTE_NAPI(env, napi_typeof, value, &type);
  return type == napi_undefined;
}

std::string string_of(napi_env env, napi_value value) {
  size_t length = 0;
  LATTE_NAPI(env, napi_get_value_string_utf8, value, nullptr, 0, &length);
  std::string text(length, '\0');
  LATTE_NAPI(env, napi_get_value_string_utf8, value, text.data(), length + 1, &length);
  return text;
}

int64_t integer_of(napi_env env, napi_value value) {
  int64_t integer = 0;
  LATTE_NAPI(env, napi_get_value_int64, value, &integer);
  return integer;
}

double number_of(napi_env env, napi_value value) {
  double number = 0;
  LATTE_NAPI(env, napi_get_value_double, value, &number);
  return number;
}

bool boolean_of(napi_env env, napi_value value) {
  bool boolean = false;
  LATTE_NAPI(env, napi_get_value_bool, value, &boolean);
  return boolean;
}

uint32_t length_of(napi_env env, napi_value array) {
  uint32_t length = 0;
  LATTE_NAPI(env, napi_get_array_length, array, &length);
  return length;
}

napi_value element_of(napi_env env, napi_value array, uint32_t index) {
  napi_value element = nullptr;
  LATTE_NAPI(env, napi_get_element, array, index, &element);
  return element;
}

napi_value property_of(napi_env env, napi_value object, const char* name) {
  napi_value property = nullptr;
  LATTE_NAPI(env, napi_get_named_property, object, name, &property);
  return property;
}

DType dtype_of(napi_env env, napi_value value) {
  const auto dtype = dtype_from_name(string_of(env, value));
  if (!dtype) fail(ErrorCode::kDType, "the addon was called with an unknown dtype");
  return *dtype;
}

Shape shape_of(napi_env env, napi_value value) {
  constexpr uint32_t kMostAxes = 64;
  const uint32_t axes = length_of(env, value);
  if (axes > kMostAxes) fail(ErrorCode::kShape, "a shape of ", axes, " axes");
  Shape shape;
  for (uint32_t i = 0; i < axes; ++i) shape.push_back(integer_of(env, element_of(env, value, i)));
  return shape;
}

napi_value undefined(napi_env env) {
  napi_value value = nullptr;
  check(env, napi_get_undefined(env, &value), "napi_get_undefined");
  return value;
}

napi_value make(napi_env env, const std::string& text) {
  napi_value value = nullptr;
  LATTE_NAPI(env, napi_create_string_utf8, text.data(), text.size(), &value);
  return value;
}

napi_value make(napi_env env, double number) {
  napi_value value = nullptr;
  LATTE_NAPI(env, napi_create_double, number, &value);
  return value;
}

napi_value make_boolean(napi_env env, bool boolean) {
  napi_value value = nullptr;
  LATTE_NAPI(env, napi_get_boolean, boolean, &value);
  return value;
}

napi_value make(napi_env env, const Shape& shape) {
  const napi_value array = make_array(env, shape.size());
  for (uint32_t i = 0; i < shape.size(); ++i) {
    define_element(env, array, i, make(env, static_cast<double>(shape[i])));
  }
  return array;
}

napi_value make_object(napi_env env) {
  napi_value value = nullptr;
  check(env, napi_create_object(env, &value), "napi_create_object");
  return value;
}

napi_value make_array(napi_env env, size_t length) {
  napi_value value = nullptr;
  LATTE_NAPI(env, napi_create_array_with_length, length, &value);
  return value;
}

namespace {

constexpr auto kPlain =
    static_cast<napi_property_attributes>(napi_writable | napi_enumerable | napi_configurable);

}  // namespace

void define(napi_env env, napi_value object, const char* name, napi_value value) {
  const napi_property_descriptor property{name,    nullptr, nullptr, nullptr,
                                          nullptr, value,   kPlain,  nullptr};
  LATTE_NAPI(env, napi_define_properties, object, 1, &property);
}

void define_element(napi_env env, napi_value array, uint32_t index, napi_value value) {
  const napi_property_descriptor property{
      nullptr, make(env, std::to_string(index)), nullptr, nullptr, nullptr, value, kPlain, nullptr};
  LATTE_NAPI(env, napi_define_properties, array, 1, &property);
}

napi_value Reference::value() const {
  napi_value value = nullptr;
  LATTE_NAPI(env_, napi_get_reference_value, reference_, &value);
  return value;
}

}  // namespace latte::binding
