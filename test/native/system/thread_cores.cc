// Moving a thread from one core to another.
#include "system/thread_cores.h"

#include <unistd.h>

#include <atomic>
#include <thread>

#include "check.h"

namespace {

using namespace latte;
using system::ThreadCores;

cpu_set_t cores_of(pid_t thread) {
  cpu_set_t set;
  CPU_ZERO(&set);
  EXPECT_EQ(sched_getaffinity(thread, sizeof set, &set), 0);
  return set;
}

/// A thread that spins and publishes its core, and has learnt its cores.
class Runner {
 public:
  explicit Runner(const cpu_set_t* given = nullptr) : thread_([this, given] { run(given); }) {
    learnt_.wait(false);
  }
  ~Runner() {
    end_ = true;
    thread_.join();
  }
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  ThreadCores& cores() { return cores_; }
  int core() const { return core_; }
  pthread_t handle() { return thread_.native_handle(); }
  cpu_set_t allowed() {
    cpu_set_t set;
    EXPECT_EQ(pthread_getaffinity_np(handle(), sizeof set, &set), 0);
    return set;
  }

 private:
  void run(const cpu_set_t* given) {
    if (given != nullptr) EXPECT_EQ(sched_setaffinity(0, sizeof *given, given), 0);
    cores_.learn();
    core_ = sched_getcpu();
    learnt_ = true;
    learnt_.notify_all();
    while (!end_) core_ = sched_getcpu();
  }

  ThreadCores cores_;
  std::atomic<bool> learnt_{false}, end_{false};
  std::atomic<int> core_{-1};
  std::thread thread_;
};

TEST("a thread leaves a core, and may use the same cores as before") {
  const cpu_set_t before = cores_of(0);
  Runner runner;
  EXPECT_EQ(runner.cores().count(), CPU_COUNT(&before));
  if (CPU_COUNT(&before) == 1) {
    EXPECT(!runner.cores().leave(runner.core()));
    return;
  }
  int left = 0;
  for (int round = 0; round < 20; ++round) {
    const int core = runner.core();
    EXPECT(runner.cores().leave(core));
    // On a busy machine it waits for its turn there.
    for (int i = 0; i < 200 && runner.core() == core; ++i) usleep(1000);
    left += runner.core() != core ? 1 : 0;
    const cpu_set_t after = runner.allowed();
    EXPECT(CPU_EQUAL(&after, &before));
  }
  EXPECT(left > 10);  // the scheduler may send it back
});

TEST("a thread that somebody keeps to some cores is not moved") {
  const cpu_set_t all = cores_of(0);
  cpu_set_t first;
  CPU_ZERO(&first);
  for (size_t core = 0; CPU_COUNT(&first) == 0; ++core) {
    if (CPU_ISSET(core, &all)) CPU_SET(core, &first);
  }
  // Before it learns them: it keeps them.
  Runner kept(&first);
  EXPECT_EQ(kept.cores().count(), 1);
  EXPECT(!kept.cores().leave(kept.core()));
  cpu_set_t now = kept.allowed();
  EXPECT(CPU_EQUAL(&now, &first));
  // And afterwards.
  Runner later;
  EXPECT_EQ(pthread_setaffinity_np(later.handle(), sizeof first, &first), 0);
  EXPECT(!later.cores().leave(later.core()));
  now = later.allowed();
  EXPECT(CPU_EQUAL(&now, &first));
});

TEST("a thread that has not learnt its cores is not moved, nor off a core that does not exist") {
  const ThreadCores nobody;
  EXPECT_EQ(nobody.count(), 0);
  EXPECT(!nobody.leave(0));
  Runner runner;
  EXPECT(!runner.cores().leave(-1));
  EXPECT(!runner.cores().leave(1 << 20));
});

}  // namespace
