#include "system/thread_pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <exception>
#include <thread>

#include "core/setting.h"
#include "system/control_group.h"
#include "system/thread_cores.h"

namespace latte::system {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMostThreads = 1024;

/// How long a waiting thread spins before it sleeps: a helper that waits for its next loop, or a
/// caller that waits for its helpers. The operations of a layer follow one another within
/// microseconds.
constexpr auto kSpin = std::chrono::microseconds(50);
/// How often a spinning thread yields its core: on a busy machine the thread that it waits for may
/// need that core.
constexpr auto kYield = std::chrono::microseconds(10);
/// How long a loop waits for a helper that missed the loop before, until the helper is moved.
constexpr auto kPatience = std::chrono::microseconds(20);
/// The least time between two moves of one helper.
constexpr auto kMoveAgain = std::chrono::milliseconds(10);
/// If a thread could not be started, how long no further one is tried.
constexpr auto kStartAgain = std::chrono::seconds(1);

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Waits at most kSpin until ready() is true; returns whether it became true.
template <class Ready>
bool spin(const Ready& ready) {
  const auto begin = Clock::now();
  for (auto yielded = begin;;) {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return true;
      pause();
    }
    const auto now = Clock::now();
    if (now - begin >= kSpin) return false;
    if (now - yielded < kYield) continue;
    sched_yield();
    yielded = now;
  }
}

// Futexes instead of std::atomic's wait and notify. Those share a table of waiters among all
// atomics, spin by themselves, and make system calls for waiters of other atomics. Here each wake
// wakes one thread, and can be counted.
void futex_wait(std::atomic<int>* word, int value) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}
void futex_wake(std::atomic<int>* word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

}  // namespace

/// One loop, on the stack of its caller.
struct ThreadPool::Loop {
  Call call;
  const void* context;
  int64_t count;
  alignas(64) std::atomic<int64_t> next{0};
  // How many helpers may still use the loop; plus kCallerSleeps while the caller sleeps until there
  // are none.
  alignas(64) std::atomic<int> helpers{0};
  static constexpr int kCallerSleeps = 1 << 30;

  /// Returns false if no iteration was left.
  bool work_once() {
    const int64_t index = next.fetch_add(1, std::memory_order_relaxed);
    if (index >= count) return false;
    call(context, index);
    return true;
  }
  void work() {
    while (work_once()) {
    }
  }

  /// Called by a helper that is done. As soon as the count is zero the caller may return and the
  /// loop may be destroyed. So after the decrement only the address of the count is used.
  void leave() {
    std::atomic<int>* const word = &helpers;
    if (word->fetch_sub(1, std::memory_order_acq_rel) == (kCallerSleeps | 1)) futex_wake(word);
  }

  /// Called by the caller. Returns when every helper has left.
  void wait() {
    const auto left = [&] { return helpers.load(std::memory_order_acquire) == 0; };
    if (left() || spin(left)) return;
    int inside = helpers.fetch_or(kCallerSleeps, std::memory_order_acq_rel) | kCallerSleeps;
    while (inside != kCallerSleeps) {
      futex_wait(&helpers, inside);
      inside = helpers.load(std::memory_order_acquire);
    }
  }
};

/// One helper thread. It is idle, or a loop has claimed it (see Claim).
struct alignas(64) ThreadPool::Helper {
  static constexpr int kAwake = 0, kAsleep = 1, kCalled = 2;
  std::atomic<int> state{kAwake};
  std::atomic<Loop*> loop{nullptr};  // taken by the helper, or taken back by the loop's caller
  // Used by the claiming loop:
  bool started = false;     // whether the thread runs
  bool missed = false;      // whether it did not come to the last loop that called it
  Clock::time_point moved;  // when it was last kept off a core
  ThreadCores cores;

  /// Gives the helper a loop and wakes it if it sleeps. Returns whether it slept.
  bool call(Loop& to) {
    loop.store(&to, std::memory_order_release);
    if (state.exchange(kCalled, std::memory_order_acq_rel) != kAsleep) return false;
    futex_wake(&state);
    return true;
  }

  /// Keeps a helper that has not come to its loop yet off the caller's core for a moment.
  bool move(const Loop& to, int core, Clock::time_point now) {
    if (!missed || loop.load(std::memory_order_relaxed) != &to || now - moved < kMoveAgain) {
      return false;
    }
    moved = now;
    return cores.leave(core);
  }

  /// On the helper's thread: spins, then sleeps, until call() is called.
  void await_call() {
    const auto called = [&] { return state.load(std::memory_order_acquire) == kCalled; };
    int awake = kAwake;
    if (!spin(called) && state.compare_exchange_strong(awake, kAsleep, std::memory_order_acq_rel)) {
      while (!called()) futex_wait(&state, kAsleep);
    }
    // An exchange rather than a store: it synchronises with a call that comes at the same moment,
    // so that this thread sees that call's loop.
    state.exchange(kAwake, std::memory_order_acq_rel);
  }
};

struct ThreadPool::State {
  static constexpr int kWords = kMostThreads / 64;
  std::array<std::atomic<uint64_t>, kWords> idle{};  // a bit for each helper that is not claimed
  std::unique_ptr<Helper[]> helpers;
  alignas(64) std::atomic<int> busy{0};    // callers inside loops, plus claimed helpers
  std::atomic<Clock::rep> start_again{0};  // no thread is started before this time
  std::atomic<uint64_t> loops{0}, called{0}, wake_ups{0}, helped{0}, moved{0};
};

/// The helpers of one loop. Counts them and the loop's caller as busy for as long as it lives.
class ThreadPool::Claim {
 public:
  /// Claims at most `wanted` helpers: fewer if a pool of `threads` threads would be overfull. Takes
  /// the idle helpers with the lowest numbers: they ran most recently and may still be awake.
  Claim(State& state, int threads, int wanted) : state_(state) {
    int busy = state.busy.fetch_add(1, std::memory_order_relaxed) + 1;
    do {
      granted_ = std::clamp(threads - busy, 0, wanted);
    } while (granted_ > 0 &&
             !state.busy.compare_exchange_weak(busy, busy + granted_, std::memory_order_relaxed));
    int left = granted_;
    for (size_t word = 0; word < bits_.size() && left > 0; ++word) {
      uint64_t idle = state.idle[word].load(std::memory_order_relaxed), taken;
      do {
        uint64_t rest = idle;
        for (int i = std::min(left, std::popcount(idle)); i > 0; --i) rest &= rest - 1;
        taken = idle & ~rest;
      } while (taken != 0 && !state.idle[word].compare_exchange_weak(idle, idle & ~taken,
                                                                     std::memory_order_acquire));
      bits_[word] = taken;
      left -= std::popcount(taken);
    }
  }
  ~Claim() {
    for (size_t word = 0; word < bits_.size(); ++word) {
      if (bits_[word] != 0) state_.idle[word].fetch_or(bits_[word], std::memory_order_release);
    }
    state_.busy.fetch_sub(1 + granted_, std::memory_order_relaxed);
  }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

  bool empty() const { return granted_ == 0; }

  /// Calls visit(index) for each claimed helper.
  template <class Visit>
  void each(const Visit& visit) const {
    for (size_t word = 0; word < bits_.size(); ++word) {
      for (uint64_t rest = bits_[word]; rest != 0; rest &= rest - 1) {
        visit(static_cast<int>(word) * 64 + std::countr_zero(rest));
      }
    }
  }

  /// Makes a helper idle again, because its thread could not be started.
  void give_up(int index) {
    const uint64_t bit = uint64_t{1} << (index % 64);
    bits_[static_cast<size_t>(index / 64)] &= ~bit;
    state_.idle[static_cast<size_t>(index / 64)].fetch_or(bit, std::memory_order_release);
  }

 private:
  State& state_;
  int granted_ = 0;
  std::array<uint64_t, State::kWords> bits_{};
};

ThreadPool::ThreadPool(int threads)
    : threads_(std::clamp(threads, 1, kMostThreads)), state_(new State) {
  state_->helpers = std::make_unique<Helper[]>(static_cast<size_t>(threads_ - 1));
  for (int i = 0; i < threads_ - 1; ++i) {
    state_->idle[static_cast<size_t>(i / 64)] |= uint64_t{1} << (i % 64);
  }
}

/// Starts the thread of a helper; returns false if there is none to be had.
bool ThreadPool::start(int index) {
  const auto now = Clock::now().time_since_epoch();
  if (now.count() < state_->start_again.load(std::memory_order_relaxed)) return false;
  Helper& helper = state_->helpers[static_cast<size_t>(index)];
  try {
    std::thread([this, &helper] { help(helper); }).detach();
    helper.started = true;
    return true;
  } catch (const std::exception&) {
    // The system has no thread, or no memory for one: the callers do the work alone.
    state_->start_again.store((now + kStartAgain).count(), std::memory_order_relaxed);
    return false;
  }
}

void ThreadPool::help(Helper& helper) {
  pthread_setname_np(pthread_self(), "latte-helper");
  helper.cores.learn();
  for (;;) {
    helper.await_call();
    // Null if the loop's caller has taken it back (dismiss_helpers).
    Loop* const loop = helper.loop.exchange(nullptr, std::memory_order_acq_rel);
    if (loop == nullptr) continue;
    loop->work();
    state_->helped.fetch_add(1, std::memory_order_relaxed);
    loop->leave();
  }
}

void ThreadPool::call_helpers(Loop& loop, Claim& claim) {
  uint64_t called = 0, wake_ups = 0;
  claim.each([&](int index) {
    Helper& helper = state_->helpers[static_cast<size_t>(index)];
    if (!helper.started && !start(index)) {
      claim.give_up(index);
      return;
    }
    loop.helpers.fetch_add(1, std::memory_order_relaxed);
    ++called;
    if (helper.call(loop)) ++wake_ups;
  });
  state_->loops.fetch_add(1, std::memory_order_relaxed);
  state_->called.fetch_add(called, std::memory_order_relaxed);
  state_->wake_ups.fetch_add(wake_ups, std::memory_order_relaxed);
}

/// The caller's part of a loop. Linux may wake a helper on its caller's core although another is
/// idle: where two cores share a cache it hardly looks for one, and a virtual machine's cores that
/// sleep do not count as idle. The helper would wait there for the end of the caller's time slice,
/// and so in every later loop.
void ThreadPool::work_as_caller(Loop& loop, const Claim& claim) {
  bool missed = false;
  claim.each([&](int index) { missed |= state_->helpers[static_cast<size_t>(index)].missed; });
  if (missed) {
    const auto begin = Clock::now();
    auto now = begin;
    while (now - begin < kPatience) {
      if (!loop.work_once()) return;
      now = Clock::now();
    }
    const int core = sched_getcpu();
    claim.each([&](int index) {
      Helper& helper = state_->helpers[static_cast<size_t>(index)];
      // With fewer cores than threads some wait in any case.
      if (helper.cores.count() < threads_) return;
      if (helper.move(loop, core, now)) state_->moved.fetch_add(1, std::memory_order_relaxed);
    });
  }
  loop.work();
}

/// Takes the loop back from helpers that have not begun it, and waits for the others.
void ThreadPool::dismiss_helpers(Loop& loop, const Claim& claim) {
  claim.each([&](int index) {
    Helper& helper = state_->helpers[static_cast<size_t>(index)];
    helper.missed = helper.loop.exchange(nullptr, std::memory_order_acq_rel) != nullptr;
    if (helper.missed) {
      loop.helpers.fetch_sub(1, std::memory_order_relaxed);
    }
  });
  loop.wait();
}

void ThreadPool::run(int64_t count, int threads, Call call, const void* context) {
  Loop loop{call, context, count};
  if (threads_ == 1) return loop.work();
  const int64_t useful = std::min<int64_t>(std::min(threads, threads_), count);
  const int wanted = static_cast<int>(std::max<int64_t>(useful, 1)) - 1;
  Claim claim(*state_, threads_, wanted);
  if (claim.empty()) return loop.work();
  call_helpers(loop, claim);
  work_as_caller(loop, claim);
  dismiss_helpers(loop, claim);
}

ThreadPool::Counts ThreadPool::counts() const {
  return {state_->loops.load(std::memory_order_relaxed),
          state_->called.load(std::memory_order_relaxed),
          state_->wake_ups.load(std::memory_order_relaxed),
          state_->helped.load(std::memory_order_relaxed),
          state_->moved.load(std::memory_order_relaxed)};
}

int default_threads(int cores, double limit) {
  const int most = std::clamp(cores, 1, kMostDefaultThreads);
  // A loop waits for its slowest thread, so a fraction of a core is no use. The comparison is of
  // doubles because `limit` may be infinite.
  const double whole = std::floor(limit + 1e-9);
  return whole >= most ? most : std::max(1, static_cast<int>(whole));
}

int threads_of_process() {
  if (const auto number = number_setting("LATTE_NUM_THREADS", kMostThreads)) return *number;
  cpu_set_t set;
  CPU_ZERO(&set);
  const int cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return default_threads(cores, control_group_cores());
}

ThreadPool& thread_pool() {
  static auto* pool = new ThreadPool(threads_of_process());
  return *pool;
}

}  // namespace latte::system
