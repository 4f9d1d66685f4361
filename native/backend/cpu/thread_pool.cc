#include "backend/cpu/thread_pool.h"

#include "backend/cpu/control_group.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <thread>

namespace latte::cpu {

namespace {

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// How long a helper looks for the next loop before it sleeps: layers follow one another closely.
constexpr auto kSpin = std::chrono::microseconds(50);

int default_threads() {
  if (const char* text = std::getenv("LATTE_NUM_THREADS")) {
    char* end = nullptr;
    const long number = std::strtol(text, &end, 10);
    if (end != text && *end == '\0' && number >= 1 && number <= 1024)
      return static_cast<int>(number);
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores = 1;
  if (sched_getaffinity(0, sizeof set, &set) == 0) cores = std::max(1, CPU_COUNT(&set));
  // Part of a core is of no use to a loop that waits for its slowest thread. Compared as doubles:
  // without a limit there are infinitely many, which no int can say.
  const double limit = std::floor(control_group_cores() + 1e-9);
  return limit >= cores ? cores : std::max(1, static_cast<int>(limit));
}

}  // namespace

ThreadPool::ThreadPool(int threads) : threads_(std::max(1, threads)) {
  CPU_ZERO(&allowed_);
  sched_getaffinity(0, sizeof allowed_, &allowed_);
}

void ThreadPool::start_helpers() {
  started_ = true;
  helper_ids_.resize(static_cast<size_t>(threads_ - 1));
  int running = 0;
  for (int i = 0; i < threads_ - 1; ++i) {
    try {
      std::thread([this, i] { helper(i); }).detach();
      ++running;
    } catch (const std::exception&) {
      break;  // no more threads to be had: the callers do the work
    }
  }
  while (registered_.load(std::memory_order_acquire) < running) std::this_thread::yield();
  helper_ids_.resize(static_cast<size_t>(running));
}

void ThreadPool::helper(int index) {
  pthread_setname_np(pthread_self(), "latte-helper");
  helper_ids_[index] = static_cast<pid_t>(syscall(SYS_gettid));
  registered_.fetch_add(1, std::memory_order_release);
  for (;;) {
    const uint32_t seen = signal_.load(std::memory_order_acquire);
    // Come in if the gate admits another helper.
    uint64_t gate = gate_.load(std::memory_order_acquire);
    while ((gate >> 32) > 0) {
      if (gate_.compare_exchange_weak(gate, gate - (uint64_t{1} << 32) + 1,
                                      std::memory_order_acq_rel)) {
        work();
        gate_.fetch_sub(1, std::memory_order_acq_rel);
        gate = gate_.load(std::memory_order_acquire);
      }
    }
    const auto deadline = std::chrono::steady_clock::now() + kSpin;
    bool called = false;
    while (!called && std::chrono::steady_clock::now() < deadline) {
      for (int i = 0; i < 32 && !called; ++i) {
        pause();
        called = signal_.load(std::memory_order_acquire) != seen;
      }
    }
    if (!called) signal_.wait(seen, std::memory_order_acquire);
  }
}

/// A woken helper is often put on its waker's own core, where it waits for the waker to finish:
/// keep the helpers off it.
void ThreadPool::keep_off_callers_core() {
  const int core = sched_getcpu();
  if (core < 0 || core == callers_core_) return;
  callers_core_ = core;
  cpu_set_t others = allowed_;
  CPU_CLR(core, &others);
  if (CPU_COUNT(&others) == 0) return;
  for (const pid_t id : helper_ids_) sched_setaffinity(id, sizeof others, &others);
}

void ThreadPool::work() {
  for (;;) {
    const int64_t index = next_.fetch_add(1, std::memory_order_relaxed);
    if (index >= count_) return;
    call_(context_, index);
  }
}

void ThreadPool::run(int64_t count, int threads, Call call, const void* context) {
  const int helpers = static_cast<int>(std::min<int64_t>(std::min(threads, threads_), count)) - 1;
  if (helpers < 1 || !busy_.try_lock()) {
    for (int64_t i = 0; i < count; ++i) call(context, i);
    return;
  }
  const std::lock_guard lock(busy_, std::adopt_lock);
  if (!started_) start_helpers();
  keep_off_callers_core();
  call_ = call;
  context_ = context;
  count_ = count;
  next_.store(0, std::memory_order_relaxed);
  gate_.store(static_cast<uint64_t>(helpers) << 32, std::memory_order_release);
  signal_.fetch_add(1, std::memory_order_release);
  signal_.notify_all();
  work();
  // Close the gate, then wait for those who are inside.
  uint64_t gate = gate_.fetch_and(0xFFFFFFFFu, std::memory_order_acq_rel) & 0xFFFFFFFFu;
  while (gate != 0) {
    pause();
    gate = gate_.load(std::memory_order_acquire);
  }
}

ThreadPool& thread_pool() {
  static auto* pool = new ThreadPool(default_threads());
  return *pool;
}

}  // namespace latte::cpu
