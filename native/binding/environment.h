// What the addon keeps for one JavaScript environment (the main thread's, or a worker's).
#pragma once

#include "binding/js.h"
#include "binding/schedule.h"

namespace latte::binding {

/// Counts an environment among the users of the devices.
class DeviceUser {
 public:
  DeviceUser();
  ~DeviceUser();
  DeviceUser(const DeviceUser&) = delete;
  DeviceUser& operator=(const DeviceUser&) = delete;
};

/// Ends with its environment, after the tensors and layers that JavaScript held there.
struct Environment {
  explicit Environment(Napi::Env node) : env(node), schedule(node) {}

  Napi::Env env;
  DeviceUser user;  // before all that holds memory of a device, so that it ends last
  Reference error_class;
  Schedule schedule;
};

/// A LatteError made of a native one; a plain Error with the same code and message if that fails;
/// null if nothing can be made.
napi_value make_error(Environment& environment, const Error& error) noexcept;

}  // namespace latte::binding
