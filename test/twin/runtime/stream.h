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

/// The moment at which an event was recorded. It always comes, and does not show that the work
/// before it succeeded: a stream that goes on after a failure reaches it, and one that stops
/// completes its events then (hicann/runtime 681ef76, stream.cc, EnterFailureAbort).
class Completion {
 public:
  void complete();
  bool is_done() const;
  void wait() const;

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool done_ = false;
};

struct Task {
  std::string name;
  std::function<int()> run;  // returns an ACL code
  /// Memory that must stay until the task has run.
  std::vector<Use> uses;
  std::vector<HostUse> host_uses;
  std::shared_ptr<Completion> waits_for, completes;
  /// Of a launch: count it, and the kernels that it starts each time that it runs.
  std::function<void()> count_launch, count_kernels;
  int injected = 0;  // fails with this code instead of running; kHangs: does not end before that
  int64_t ended_hangs = 0;  // how often hanging tasks had been ended when this one was submitted
};

/// As an injected code: until end_hanging_tasks(), then ACL_ERROR_RT_AICORE_TIMEOUT.
constexpr int kHangs = LATTE_TWIN_HANGS;

/// What a stream was given since a capture began.
struct Capture {
  std::vector<Task> tasks;
  bool invalid = false;
};

/// Releases the memory that a task holds.
void give_back(Task& task);

class Stream {
 public:
  Stream(std::shared_ptr<Context> context, uint64_t number);
  ~Stream();

  /// 0; or, where the stream takes no task any more, the reason. While the stream is captured the
  /// task is kept instead of run.
  int push(Task task);
  /// From now on tasks are kept. False if they are already.
  bool begin_capture();
  /// The tasks since then; null if there was no capture.
  std::unique_ptr<Capture> end_capture();
  bool is_captured() const;
  /// A call was made that makes a capture invalid.
  void invalidate_capture();
  /// Waits until nothing is queued, or the stream has stopped, for at most `milliseconds` (-1: for
  /// ever). Returns the stream's error; one that goes on forgets it.
  int synchronise(int milliseconds = -1);
  bool is_idle() const;
  /// A task has failed. By the context's mode, the stream stops with its context, or goes on.
  void fail(int code);
  /// The device is lost: from now on the stream runs nothing.
  void kill(int code);
  /// 0, or why the stream runs nothing any more.
  int stopped() const;
  const std::shared_ptr<Context>& context() const { return context_; }
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
  std::unique_ptr<Capture> capture_;  // null: tasks run
  bool busy_ = false, stopping_ = false;
  int error_ = 0;  // of the last task that failed, until it is reported
  int killed_ = 0;
  std::thread thread_;
};

struct Event {
  explicit Event(std::shared_ptr<Context> of) : context(std::move(of)) {}
  const std::shared_ptr<Context> context;  // in which it was created
  std::mutex mutex;
  std::shared_ptr<Completion> recorded;  // null: never
  std::weak_ptr<Stream> stream;
  int waits = 0;  // queued aclrtStreamWaitEvents
};

Handles<Stream>& streams();
Handles<Event>& events();

/// The stream of a call's handle, in its current context. Null, with a violation and `code`, if
/// there is none.
std::shared_ptr<Stream> stream_of(const Entry& entry, aclrtStream handle, const char* function,
                                  int& code);

size_t live_streams(int device);
size_t live_streams_of(const void* context);
size_t live_events(int device);
size_t live_events_of(const void* context);
void end_hanging_tasks();
/// Whether aclrtSetStreamFailureMode works on this device.
bool supports_stop_mode();
void support_stop_mode(bool supported);
void kill_streams(int device, int code);

#pragma GCC visibility pop

}  // namespace latte::twin
