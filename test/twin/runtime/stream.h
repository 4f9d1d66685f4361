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
  /// Of a launch: counts it, and counts the kernels that it starts each time it runs.
  std::function<void()> count_launch, count_kernels;
  int injected = 0;  // fails with this code instead of running; kHangs: only after it has hung
  int64_t ended_hangs = 0;  // tasks that hang had been ended so often when this was submitted
};

/// An injected code: the task hangs until end_hanging_tasks(), then fails with
/// ACL_ERROR_RT_AICORE_TIMEOUT.
constexpr int kHangs = LATTE_TWIN_HANGS;

/// The tasks given to a stream since its capture began.
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

  /// Queues a task. Returns 0, or the reason if the stream takes no task any more. While the stream
  /// is captured, the task is kept instead of run.
  int push(Task task);
  /// From now on tasks are kept. Returns false if the stream is already being captured.
  bool begin_capture();
  /// Ends the capture and returns its tasks; null if there was no capture.
  std::unique_ptr<Capture> end_capture();
  bool is_captured() const;
  /// Marks the capture invalid, because of a call that is not allowed during one.
  void invalidate_capture();
  /// Waits until nothing is queued or the stream has stopped, for at most `milliseconds` (-1: no
  /// limit). Returns the stream's error. A stream that goes on after failures then forgets it.
  int synchronise(int milliseconds = -1);
  bool is_idle() const;
  /// Records that a task failed. By the context's mode, the stream stops with its context, or goes
  /// on.
  void fail(int code);
  /// Stops the stream for ever, because its device is lost.
  void kill(int code);
  /// Returns 0, or why the stream runs nothing any more.
  int stopped() const;
  const std::shared_ptr<Context>& context() const { return context_; }
  int device() const { return context_->device; }

 private:
  void run();
  void execute(Task& task);

  const std::shared_ptr<Context> context_;
  std::mt19937_64 random_;
  const int64_t longest_delay_;  // microseconds
  const int64_t launch_time_;    // microseconds that each launch takes beside its computation
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

/// Returns the stream of a handle, in the current context. Returns null, with a violation and an
/// ACL code in `code`, if there is none.
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
