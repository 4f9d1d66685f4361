#include "binding/environment.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "backend/registry.h"

namespace latte::binding {

namespace {

bool on_main_thread() { return syscall(SYS_gettid) == getpid(); }

}  // namespace

DeviceUser::DeviceUser() { environment_opened(); }

DeviceUser::~DeviceUser() { environment_closed(on_main_thread()); }

Napi::Error to_javascript(Napi::Env env, const Error& error) {
  const Environment& environment = Environment::of(env);
  if (environment.error_class.IsEmpty()) return Napi::Error::New(env, error.what());
  auto details = Napi::Object::New(env);
  if (!error.operation().empty()) {
    details.Set("operation", error.operation());
    details.Set("aclCode", error.status());
  }
  const Napi::Object made =
      environment.error_class.New({Napi::String::New(env, error_code_name(error.code())),
                                   Napi::String::New(env, error.what()), details});
  return Napi::Error(env, made);
}

}  // namespace latte::binding
