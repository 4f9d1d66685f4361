#include "binding/environment.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "backend/registry.h"

namespace latte::binding {

namespace {

bool on_main_thread() { return syscall(SYS_gettid) == getpid(); }

napi_value make_latte_error(Environment& environment, const Error& error) {
  const napi_env env = environment.env;
  const napi_value constructor = environment.error_class.value();
  const napi_value details = make_object(env);
  if (!error.operation().empty()) {
    define(env, details, "operation", make(env, error.operation()));
    define(env, details, "aclCode", make(env, static_cast<double>(error.status())));
  }
  const napi_value arguments[] = {make(env, std::string(error_code_name(error.code()))),
                                  make(env, std::string(error.what())), details};
  napi_value made = nullptr;
  LATTE_NAPI(env, napi_new_instance, constructor, std::size(arguments), arguments, &made);
  return made;
}

napi_value make_plain_error(napi_env env, const Error& error) {
  napi_value code = nullptr, message = nullptr, made = nullptr;
  if (napi_create_string_utf8(env, error_code_name(error.code()), NAPI_AUTO_LENGTH, &code) !=
          napi_ok ||
      napi_create_string_utf8(env, error.what(), NAPI_AUTO_LENGTH, &message) != napi_ok ||
      napi_create_error(env, code, message, &made) != napi_ok) {
    return nullptr;
  }
  return made;
}

}  // namespace

DeviceUser::DeviceUser() { environment_opened(); }

DeviceUser::~DeviceUser() { environment_closed(on_main_thread()); }

napi_value make_error(Environment& environment, const Error& error) noexcept {
  if (environment.error_class) {
    try {
      return make_latte_error(environment, error);
    } catch (...) {
      // Clears what the constructor threw. It may have thrown because the stack is used up.
      napi_value thrown = nullptr;
      napi_get_and_clear_last_exception(environment.env, &thrown);
    }
  }
  return make_plain_error(environment.env, error);
}

}  // namespace latte::binding
