// The signal handlers of the process, kept as they are while CANN starts.
#pragma once

#include <array>
#include <csignal>

namespace latte::ascend {

/// Restores, when it ends, the signal handlers that were installed when it began. CANN's trace
/// library installs handlers of its own as it is loaded, for the signals that CANN documents under
/// ASCEND_COREDUMP_SIGNAL (hicann/runtime 681ef76: stacktrace_signal.c, trace_core.c). They would
/// take the place of a service's SIGTERM handler, and of V8's handler of SIGSEGV.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

 private:
  struct Saved {
    int number = 0;
    bool known = false;
    struct sigaction action = {};
  };
  std::array<Saved, 13> saved_;
  stack_t stack_ = {};
  bool has_stack_ = false;
};

}  // namespace latte::ascend
