// The addon's state for one JavaScript environment: the main thread's, or a worker's.
#pragma once

#include "binding/js.h"
#include "binding/schedule.h"

namespace latte::binding {

/// Registers an environment as a user of the devices for as long as it lives.
class DeviceUser {
 public:
  DeviceUser();
  ~DeviceUser();
  DeviceUser(const DeviceUser&) = delete;
  DeviceUser& operator=(const DeviceUser&) = delete;
};

/// Destroyed when its environment ends, after the tensors and layers of that environment.
struct Environment {
  explicit Environment(Napi::Env node) : env(node), schedule(node) {}

  Napi::Env env;
  DeviceUser user;  // declared before all that may hold memory of a device, so destroyed after it
  Reference error_class;
  Schedule schedule;
};

/// A LatteError with the code, message and details of `error`. If that cannot be made, a plain
/// Error with the code and message; if that fails, too, null.
napi_value make_error(Environment& environment, const Error& error) noexcept;

}  // namespace latte::binding
