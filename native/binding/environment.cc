#include "binding/environment.h"

namespace latte::binding {

Napi::Error to_javascript(Napi::Env env, const Error& error) {
  const Environment& environment = Environment::of(env);
  if (environment.error_class.IsEmpty()) return Napi::Error::New(env, error.what());
  const Napi::Object made =
      environment.error_class.New({Napi::String::New(env, error_code_name(error.code())),
                                   Napi::String::New(env, error.what())});
  return Napi::Error(env, made);
}

}  // namespace latte::binding
