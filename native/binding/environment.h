// What the addon keeps for one JavaScript environment (the main thread's, or a worker's).
#pragma once

#include <napi.h>

#include <new>
#include <stdexcept>

#include "binding/lanes.h"
#include "core/error.h"

namespace latte::binding {

/// Tells the devices that an environment uses them.
class DeviceUser {
 public:
  DeviceUser();
  ~DeviceUser();
  DeviceUser(const DeviceUser&) = delete;
  DeviceUser& operator=(const DeviceUser&) = delete;
};

/// Ends with its environment, after the tensors and layers that JavaScript held there.
struct Environment {
  explicit Environment(Napi::Env env) : lanes(env) {}

  DeviceUser user;  // the first: ends when the others have let go of their memory
  Napi::FunctionReference error_class;
  Napi::FunctionReference tensor_class;
  Lanes lanes;

  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }
};

/// A LatteError made of a native one.
Napi::Error to_javascript(Napi::Env env, const Error& error);

/// Runs function(), turning what it throws into JavaScript exceptions.
template <class Function>
auto guarded(Napi::Env env, const Function& function) -> decltype(function()) {
  try {
    return function();
  } catch (const Error& error) {
    throw to_javascript(env, error);
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw to_javascript(env, Error(ErrorCode::kOutOfMemory, "the system is out of memory"));
  } catch (const std::length_error&) {
    throw to_javascript(env, Error(ErrorCode::kOutOfMemory, "the system is out of memory"));
  } catch (const std::exception& error) {
    // Only a call past the TypeScript facade gets here, with arguments that nothing has checked.
    throw Napi::TypeError::New(env, error.what());
  }
}

}  // namespace latte::binding
