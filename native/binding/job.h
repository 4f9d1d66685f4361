// One forward, and how it gets to another thread and back.
#pragma once

#include <napi.h>

#include "binding/arguments.h"

namespace latte::binding {

/// Runs a forward while the calling thread waits; gives an array of the results.
Napi::Array run_now(Napi::Env env, Forward forward, const ForwardArguments& arguments);

/// Queues a forward behind the environment's others on its device; gives { promise, cancel }. The
/// caller's arrays are copied before this returns.
Napi::Object run_later(Napi::Env env, Forward forward, const ForwardArguments& arguments);

}  // namespace latte::binding
