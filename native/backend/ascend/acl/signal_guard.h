// Keeps CANN from replacing the signal handlers of the process.
#pragma once

#include <array>
#include <csignal>

namespace latte::ascend {

/// The constructor saves the signal handlers, the destructor restores them. While it is loaded,
/// CANN's trace library installs handlers for the signals that CANN documents under
/// ASCEND_COREDUMP_SIGNAL (hicann/runtime 681ef76: stacktrace_signal.c, trace_core.c). These would
/// replace a service's SIGTERM handler, and V8's SIGSEGV handler.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

 private:
  struct Saved {
    int number = 0;
    bool known = false;  // whether `action` was read
    struct sigaction action = {};
  };
  std::array<Saved, 13> saved_;
  stack_t stack_ = {};
  bool has_stack_ = false;
};

}  // namespace latte::ascend
