// The pool of helper threads. Also run under ThreadSanitizer: scripts/sanitize.sh threads.
#include "system/thread_pool.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

#include "check.h"
#include "failing_new.h"
#include "system/control_group.h"

namespace {

using namespace latte;
using system::ThreadPool;
using Clock = std::chrono::steady_clock;

/// Makes a pool that is never destroyed.
ThreadPool& pool_of(int threads) { return *new ThreadPool(threads); }

/// Runs a loop that counts each index; expects each to be visited once.
void visit_all(ThreadPool& pool, int64_t count, int threads) {
  std::vector<std::atomic<int>> visits(static_cast<size_t>(count));
  pool.parallel_for(count, threads, [&](int64_t i) { ++visits[static_cast<size_t>(i)]; });
  for (const auto& visit : visits) EXPECT_EQ(visit.load(), 1);
}

/// Waits until helpers have had time to fall asleep. Later rounds wait longer, because on a busy
/// machine a helper waits for a processor first.
void pause_for_sleep(int round = 0) { usleep(2000 + 100 * static_cast<unsigned>(round)); }

/// Callers that stay inside loops of one thread while this object lives.
class Busy {
 public:
  Busy(ThreadPool& pool, int callers) {
    for (int i = 0; i < callers; ++i) {
      threads_.emplace_back([this, &pool] {
        pool.parallel_for(1, 1, [this](int64_t) {
          ++inside_;
          inside_.notify_all();
          leave_.wait(false);
        });
      });
    }
    for (int now = inside_; now < callers; now = inside_) inside_.wait(now);
  }
  ~Busy() {
    leave_ = true;
    leave_.notify_all();
    for (auto& thread : threads_) thread.join();
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  std::vector<std::thread> threads_;
  std::atomic<int> inside_{0};
  std::atomic<bool> leave_{false};
};

TEST("a loop wakes at most the helpers that it asked for") {
  const int sizes[] = {1, 2, 8, 32, 64};
  for (const int threads : sizes) {
    ThreadPool& pool = pool_of(threads);
    visit_all(pool, 1000, threads);  // starts all helpers
    const int asked_for[] = {1, 2, 3, 7, 1024};
    for (const int asked : asked_for) {
      const auto most = static_cast<uint64_t>(std::min(asked, threads) - 1);
      uint64_t woken = 0;
      // On a busy machine it takes a helper several rounds to fall asleep.
      for (int round = 0; round < 5 || (most > 0 && woken == 0 && round < 500); ++round) {
        pause_for_sleep(round);
        const auto before = pool.counts();
        visit_all(pool, 1000, asked);
        const auto after = pool.counts();
        EXPECT_EQ(after.called - before.called, most);
        EXPECT(after.wake_ups - before.wake_ups <= most);
        woken += after.wake_ups - before.wake_ups;
      }
      EXPECT((woken > 0) == (most > 0));
    }
  }
});

TEST("a loop of few indices asks for few helpers") {
  ThreadPool& pool = pool_of(8);
  visit_all(pool, 3, 8);
  EXPECT_EQ(pool.counts().called, uint64_t{2});
  visit_all(pool, 1, 8);
  visit_all(pool, 0, 8);
  EXPECT_EQ(pool.counts().called, uint64_t{2});
  EXPECT_EQ(pool.counts().loops, uint64_t{1});
});

TEST("helpers that are still awake are not woken") {
  ThreadPool& pool = pool_of(4);
  for (int round = 0; round < 2000; ++round) pool.parallel_for(4, 4, [](int64_t) {});
  const auto counts = pool.counts();
  EXPECT_EQ(counts.called, uint64_t{6000});
  EXPECT(counts.wake_ups < counts.called / 2);
});

TEST("callers and their helpers together are no more than the pool's threads") {
  ThreadPool& pool = pool_of(4);
  for (int callers = 0; callers <= 5; ++callers) {
    const Busy busy(pool, callers);
    const auto before = pool.counts().called;
    visit_all(pool, 100, 4);
    EXPECT_EQ(pool.counts().called - before, static_cast<uint64_t>(std::max(0, 3 - callers)));
  }
  const auto before = pool.counts().called;
  visit_all(pool, 100, 4);
  EXPECT_EQ(pool.counts().called - before, uint64_t{3});
});

TEST("several callers have helpers at the same time") {
  ThreadPool& pool = pool_of(6);
  std::atomic<uint64_t> inner{0};
  // A loop inside a loop has a caller of its own.
  pool.parallel_for(2, 2, [&](int64_t) { pool.parallel_for(100, 2, [&](int64_t) { ++inner; }); });
  EXPECT_EQ(inner.load(), uint64_t{200});
  EXPECT(pool.counts().called >= 2);
});

/// Threads that keep all cores at work while this object lives.
class BusyCores {
 public:
  explicit BusyCores(int count) {
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this] {
        while (!end_) work_for(std::chrono::microseconds(100));
      });
    }
  }
  ~BusyCores() {
    end_ = true;
    for (auto& thread : threads_) thread.join();
  }
  BusyCores(const BusyCores&) = delete;
  BusyCores& operator=(const BusyCores&) = delete;

  static void work_for(Clock::duration time) {
    for (const auto begin = Clock::now(); Clock::now() - begin < time;) {
    }
  }

 private:
  std::vector<std::thread> threads_;
  std::atomic<bool> end_{false};
};

/// The cores that this process may use.
int own_cores() {
  cpu_set_t set;
  EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  return CPU_COUNT(&set);
}

/// Loops that a helper misses while the cores are busy, and loops that wait for it.
void run_loops(ThreadPool& pool, int threads, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    pool.parallel_for(threads, threads, [](int64_t) {});
    pool.parallel_for(20 * threads, threads,
                      [](int64_t) { BusyCores::work_for(std::chrono::microseconds(5)); });
    if (round % 10 == 0) pause_for_sleep();
  }
}

TEST("a helper that does not come is moved, but seldom") {
  const int cores = own_cores();
  const BusyCores busy(cores);
  ThreadPool& pool = pool_of(2);
  const auto begin = Clock::now();
  for (int i = 0; i < 100 && pool.counts().moved == 0; ++i) run_loops(pool, 2, 20);
  const auto moved = pool.counts().moved;
  EXPECT((moved > 0) == (cores > 1));
  // At most once in ten milliseconds.
  EXPECT(moved <=
         1 + static_cast<uint64_t>((Clock::now() - begin) / std::chrono::milliseconds(10)));
});

TEST("helpers of a pool with more threads than cores are not moved") {
  const int cores = own_cores();
  const BusyCores busy(cores);
  ThreadPool& pool = pool_of(cores + 1);
  run_loops(pool, cores + 1, 50);
  EXPECT_EQ(pool.counts().moved, uint64_t{0});
});

TEST("sums are right for many callers at once") {
  ThreadPool& pool = pool_of(5);
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      std::vector<int64_t> values(257);
      for (int round = 0; round < 300; ++round) {
        const int64_t count = 1 + (round * 7 + caller) % 257;
        pool.parallel_for(count, 1 + round % 6,
                          [&](int64_t i) { values[static_cast<size_t>(i)] = i * round; });
        const auto sum = std::accumulate(values.begin(), values.begin() + count, int64_t{0});
        if (sum != count * (count - 1) / 2 * round) ++wrong;
        if (round % 50 == 0) pause_for_sleep();
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(wrong.load(), 0);
  // On a busy machine short loops may end before any helper comes; these take longer.
  for (int round = 0; round < 1000 && pool.counts().helped == 0; ++round) {
    pool.parallel_for(2, 2, [](int64_t) { usleep(1000); });
  }
  EXPECT(pool.counts().helped > 0);
});

TEST("a caller that waits for its helper sleeps, and is woken") {
  ThreadPool& pool = pool_of(2);
  for (int round = 0; round < 5; ++round) {
    // Each thread has one index. The caller's ends when the helper has begun its own, which takes
    // long.
    std::atomic<bool> helped{false}, ended{false};
    const auto caller = std::this_thread::get_id();
    pool.parallel_for(2, 2, [&](int64_t) {
      if (std::this_thread::get_id() == caller) {
        for (int i = 0; i < 1000 && !helped; ++i) usleep(100);
      } else {
        helped = true;
        usleep(20000);
        ended = true;
      }
    });
    EXPECT_EQ(ended.load(), helped.load());
  }
});

TEST("without memory for a helper the caller does the work, and has helpers later") {
  ThreadPool& pool = pool_of(3);
  std::vector<int> visits(50);
  test::allocations_left = 0;
  pool.parallel_for(50, 3, [&](int64_t i) { ++visits[static_cast<size_t>(i)]; });
  EXPECT_EQ(test::allocations_left, -1);  // the pool did try to allocate
  EXPECT_EQ(std::count(visits.begin(), visits.end(), 1), std::ptrdiff_t{50});
  EXPECT_EQ(pool.counts().called, uint64_t{0});
  // After a failure the pool starts no thread for a second, because the next try would likely fail,
  // too.
  visit_all(pool, 50, 3);
  EXPECT_EQ(pool.counts().called, uint64_t{0});
  usleep(1100000);
  visit_all(pool, 50, 3);
  EXPECT_EQ(pool.counts().called, uint64_t{2});
  // A pool whose threads run allocates nothing.
  const int allocations = test::allocations_made;
  pool.parallel_for(50, 3, [&](int64_t i) { ++visits[static_cast<size_t>(i)]; });
  EXPECT_EQ(test::allocations_made, allocations);
});

TEST("the default number of threads fits cores, control group and bound") {
  EXPECT_EQ(system::default_threads(2, system::kUnlimited), 2);
  EXPECT_EQ(system::default_threads(192, system::kUnlimited), 32);
  EXPECT_EQ(system::default_threads(192, 2.5), 2);
  EXPECT_EQ(system::default_threads(192, 0.3), 1);
  EXPECT_EQ(system::default_threads(4, 8), 4);
  EXPECT_EQ(system::default_threads(0, 8), 1);
});

}  // namespace
