// The signal handlers of CANN's trace library, which it installs as it is loaded.
//
// hicann/runtime 681ef76, src/dfx/trace/atrace/utrace: trace_core.c installs them from a
// constructor of the library and removes them from its destructor; stacktrace_signal.c has the 13
// signals, SA_SIGINFO | SA_ONSTACK, and a handler that writes the stacks to a file, restores the
// handler of before and raises the signal again. docs/zh/env_vars/ASCEND_COREDUMP_SIGNAL.md: 'none'
// keeps them away.
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "runtime/exports.h"

namespace latte::twin {

namespace {

struct Installed {
  int number;
  struct sigaction before;
};

const std::array<int, 13> kNumbers = {SIGINT,  SIGTERM, SIGQUIT,     SIGILL,  SIGTRAP,
                                      SIGABRT, SIGBUS,  SIGFPE,      SIGSEGV, SIGXCPU,
                                      SIGXFSZ, SIGSYS,  SIGRTMIN + 1};
std::array<Installed, 13> installed;
bool is_installed = false;
alignas(16) char alternate_stack[64 * 1024];

void write_stacks(int number, siginfo_t*, void*) {
  constexpr char kWords[] = "twin: a signal made CANN write the stacks of all threads\n";
  if (write(STDERR_FILENO, kWords, sizeof kWords - 1) < 0) return;
  for (const Installed& one : installed) {
    if (one.number == number) sigaction(number, &one.before, nullptr);
  }
  raise(number);
}

struct Loaded {
  Loaded() {
    const char* none = std::getenv("ASCEND_COREDUMP_SIGNAL");
    if (none != nullptr && std::strcmp(none, "none") == 0) return;
    stack_t stack = {};
    stack.ss_sp = alternate_stack;
    stack.ss_size = sizeof alternate_stack;
    sigaltstack(&stack, nullptr);
    struct sigaction action = {};
    action.sa_sigaction = write_stacks;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (const int number : kNumbers) sigaddset(&action.sa_mask, number);
    for (size_t i = 0; i < kNumbers.size(); ++i) {
      installed[i].number = kNumbers[i];
      sigaction(kNumbers[i], &action, &installed[i].before);
    }
    is_installed = true;
  }

  ~Loaded() {
    if (!is_installed) return;
    for (const Installed& one : installed) sigaction(one.number, &one.before, nullptr);
  }
} loaded;

}  // namespace

}  // namespace latte::twin
