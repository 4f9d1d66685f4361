// What the addon keeps for one JavaScript environment (the main thread's, or a worker's).
#pragma once

#include <napi.h>

#include <deque>
#include <memory>
#include <new>
#include <stdexcept>

#include "core/error.h"

namespace latte::binding {

class Job;

struct Environment {
  Napi::FunctionReference error_class;
  Napi::FunctionReference tensor_class;
  /// Forwards in the order of their calls; the first one is running.
  std::deque<std::shared_ptr<Job>> jobs;

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
