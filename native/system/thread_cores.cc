#include "system/thread_cores.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

namespace latte::system {

namespace {

/// Of thread 0: the calling one.
bool read_cores(pid_t thread, cpu_set_t& cores) {
  return sched_getaffinity(thread, sizeof cores, &cores) == 0;
}
bool set_cores(pid_t thread, const cpu_set_t& cores) {
  return sched_setaffinity(thread, sizeof cores, &cores) == 0;
}

}  // namespace

void ThreadCores::learn() {
  // Cores that are set stay set when those of the control group change. So if nobody has restricted
  // the thread, leave() restores all cores, which the kernel cuts to the group's, now and later.
  cpu_set_t all, now;
  memset(&all, 0xff, sizeof all);
  if (!read_cores(0, allowed_) || !set_cores(0, all)) return;
  const bool restricted = !read_cores(0, now) || !CPU_EQUAL(&now, &allowed_);
  restored_ = restricted ? allowed_ : all;
  if (!set_cores(0, restored_)) return;
  count_ = CPU_COUNT(&allowed_);
  thread_.store(static_cast<pid_t>(syscall(SYS_gettid)), std::memory_order_release);
}

bool ThreadCores::leave(int core) const {
  const pid_t thread = thread_.load(std::memory_order_acquire);
  if (thread == 0 || core < 0 || core >= CPU_SETSIZE) return false;
  cpu_set_t others;
  if (!read_cores(thread, others) || !CPU_EQUAL(&others, &allowed_)) return false;
  CPU_CLR(static_cast<size_t>(core), &others);
  if (CPU_COUNT(&others) == 0 || !set_cores(thread, others)) return false;
  return set_cores(thread, restored_) || set_cores(thread, allowed_);
}

}  // namespace latte::system
