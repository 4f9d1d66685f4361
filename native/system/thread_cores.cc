#include "system/thread_cores.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

namespace latte::system {

void ThreadCores::learn() {
  // What is set by hand holds on when a control group gets other cores. So all cores are set where
  // nobody has set some: the thread may use the same ones as before, and later those of its group.
  cpu_set_t all, now;
  memset(&all, 0xff, sizeof all);
  if (sched_getaffinity(0, sizeof allowed_, &allowed_) != 0 ||
      sched_setaffinity(0, sizeof all, &all) != 0 || sched_getaffinity(0, sizeof now, &now) != 0) {
    return;
  }
  set_ = CPU_EQUAL(&now, &allowed_) ? all : allowed_;
  if (sched_setaffinity(0, sizeof set_, &set_) != 0) return;
  count_ = CPU_COUNT(&allowed_);
  thread_.store(static_cast<pid_t>(syscall(SYS_gettid)), std::memory_order_release);
}

bool ThreadCores::leave(int core) const {
  const pid_t thread = thread_.load(std::memory_order_acquire);
  if (thread == 0 || core < 0 || core >= CPU_SETSIZE) return false;
  cpu_set_t others;
  if (sched_getaffinity(thread, sizeof others, &others) != 0 || !CPU_EQUAL(&others, &allowed_)) {
    return false;
  }
  CPU_CLR(static_cast<size_t>(core), &others);
  if (CPU_COUNT(&others) == 0 || sched_setaffinity(thread, sizeof others, &others) != 0)
    return false;
  return sched_setaffinity(thread, sizeof set_, &set_) == 0;
}

}  // namespace latte::system
