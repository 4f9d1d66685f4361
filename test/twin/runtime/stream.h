// Streams with a thread each, the tasks on them, and events.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "runtime/devices.h"
#include "runtime/memory.h"

namespace latte::twin {

#pragma GCC visibility push(default)

/// The moment that an event was recorded at. Always comes: a dead stream reaches it, too.
class Completion {
 public:
  void complete(int code);
  bool is_done() const;
  int wait() const;  // until done; returns the code of the stream that got there
  int code() const;

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool done_ = false;
  int code_ = 0;
};

struct Task {
  std::string name;
  std::function<int()> run;  // returns an ACL code
  /// Memory that must stay until the task has run.
  std::vector<Use> uses;
  std::vector<HostUse> host_uses;
  std::shared_ptr<Completion> waits_for, completes;
  int injected = 0;  // fails with this code instead of running
};

class Stream {
 public:
  Stream(std::shared_ptr<Context> context, uint64_t number);
  ~Stream();

  void push(Task task);
  /// Waits until nothing is queued; returns the stream's error.
  int synchronise();
  bool is_idle() const;
  int error() const;
  /// From now on the stream runs nothing, and says why.
  void kill(int code);
  const Context& context() const { return *context_; }
  int device() const { return context_->device; }

 private:
  void run();
  void execute(Task& task);

  const std::shared_ptr<Context> context_;
  std::mt19937_64 random_;
  const int64_t longest_delay_;  // microseconds
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  bool busy_ = false, stopping_ = false;
  int error_ = 0;
  std::thread thread_;
};

struct Event {
  int device = 0;
  std::mutex mutex;
  std::shared_ptr<Completion> recorded;  // null: never
  std::weak_ptr<Stream> stream;
  int waits = 0;  // queued aclrtStreamWaitEvents
};

Handles<Stream>& streams();
Handles<Event>& events();

/// The stream of a call's handle, in its current context; null after words and a code in `code`.
std::shared_ptr<Stream> stream_of(const Entry& entry, aclrtStream handle, const char* function,
                                  int& code);

size_t live_streams(int device);
size_t live_streams_of(const void* context);
size_t live_events(int device);
void kill_streams(int device, int code);

#pragma GCC visibility pop

}  // namespace latte::twin
