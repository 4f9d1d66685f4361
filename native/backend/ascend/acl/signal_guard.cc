#include "backend/ascend/acl/signal_guard.h"

namespace latte::ascend {

SignalGuard::SignalGuard() {
  const std::array<int, 13> numbers = {SIGINT,  SIGQUIT, SIGILL,      SIGTRAP, SIGABRT,
                                       SIGBUS,  SIGFPE,  SIGSEGV,     SIGTERM, SIGXCPU,
                                       SIGXFSZ, SIGSYS,  SIGRTMIN + 1};
  for (size_t i = 0; i < numbers.size(); ++i) {
    saved_[i].number = numbers[i];
    saved_[i].known = sigaction(numbers[i], nullptr, &saved_[i].action) == 0;
  }
  // CANN sets an alternate stack for its handlers, on the thread that loads it.
  has_stack_ = sigaltstack(nullptr, &stack_) == 0;
}

SignalGuard::~SignalGuard() {
  for (const Saved& saved : saved_) {
    if (saved.known) sigaction(saved.number, &saved.action, nullptr);
  }
  if (!has_stack_) return;
  stack_.ss_flags &= SS_DISABLE;
  sigaltstack(&stack_, nullptr);
}

}  // namespace latte::ascend
