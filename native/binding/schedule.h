// The works of one JavaScript environment: in order for each device, independent between devices.
#pragma once

#include <condition_variable>
#include <list>
#include <map>
#include <memory>
#include <mutex>

#include "backend/backend.h"
#include "binding/js.h"

namespace latte::binding {

class Forward;
class Schedule;
class ScheduledWork;

/// Works that devices' threads have finished, until the JavaScript thread takes them. Shared with
/// those threads: it outlives the environment if a thread still leaves it.
class Completions {
 public:
  /// Calls schedule.receive() on the JavaScript thread after works were added. Holds the event loop
  /// only while works are expected.
  Completions(napi_env env, Schedule& schedule);

  /// One more work will be added. On the JavaScript thread.
  void expect() noexcept;
  /// A work that was expected will not be added. On the JavaScript thread.
  void withdraw() noexcept;
  /// On any thread. Allocates nothing.
  void add(ScheduledWork& work) noexcept;
  /// The works that were added, linked in their order. On the JavaScript thread.
  ScheduledWork* take() noexcept;
  /// Ends the use of Completions to which nothing was ever added.
  void abandon() noexcept;
  /// Waits until all expected works were added; wakes the JavaScript thread no more.
  void close() noexcept;

 private:
  static void wake(napi_env env, napi_value, void* schedule, void*) noexcept;
  void release(size_t works) noexcept;

  napi_env env_;
  napi_threadsafe_function waker_ = nullptr;
  size_t untaken_ = 0;  // expected and not taken yet; the JavaScript thread's

  std::mutex mutex_;
  std::condition_variable changed_;
  size_t under_way_ = 0;
  bool closed_ = false, woken_ = false;
  ScheduledWork* first_ = nullptr;
  ScheduledWork* last_ = nullptr;
};

/// A forward's place in the order of a device. The JavaScript thread's: the forward refers to
/// JavaScript objects, which other threads must not touch.
struct Place {
  std::shared_ptr<ScheduledWork> work;
  std::shared_ptr<Forward> forward;
};

/// A work that has a place in a schedule. Nothing of JavaScript is in it: the last reference may go
/// on a device's thread.
class ScheduledWork : public Work {
 public:
  explicit ScheduledWork(Device& where) : device(where) {}

  Device& device;
  bool ready = true;  // false: works of other devices have to end first. The JavaScript thread's

 protected:
  void done() noexcept final;

 private:
  friend class Completions;
  friend class Schedule;
  enum class State { kOutside, kWaiting, kSubmitted };

  State state_ = State::kOutside;  // the JavaScript thread's, as `place_`
  std::list<Place>::iterator place_;
  std::shared_ptr<Completions> completions_;  // null: whoever submitted the work waits for it
  ScheduledWork* next_ = nullptr;             // in Completions
};

/// Used on the JavaScript thread alone. What fails after a work was added ends that work with the
/// reason: nothing is thrown into a call that came later.
class Schedule {
 public:
  explicit Schedule(napi_env env);
  Schedule(const Schedule&) = delete;
  Schedule& operator=(const Schedule&) = delete;
  ~Schedule();

  /// Puts a work behind the others of its device; nothing is submitted before advance(). If this
  /// throws, nothing was added.
  void add(const std::shared_ptr<ScheduledWork>& work, const std::shared_ptr<Forward>& forward);
  /// Removes a work that was not submitted; false for any other.
  bool withdraw(ScheduledWork& work) noexcept;
  /// Submits what may be submitted now. To be called when a work was added, removed or made ready.
  void advance(Device& device) noexcept;

  /// Names a forward for cancel(), until it is forgotten.
  void name(int64_t id, const std::shared_ptr<Forward>& forward);
  void forget(int64_t id) noexcept { named_.erase(id); }
  /// Cancels a forward by its name; does nothing if there is none (any more).
  void cancel(int64_t id) noexcept;

 private:
  friend class Completions;
  struct HostWork;
  struct Lane {
    std::list<Place> waiting, submitted;
  };

  void submit(ScheduledWork& work);
  /// Runs a work on a thread of libuv's pool.
  void submit_to_host(ScheduledWork& work);
  Completions& completions();
  Place remove(ScheduledWork& work) noexcept;
  void end(ScheduledWork& work) noexcept;
  void receive() noexcept;
  static void close(void* schedule) noexcept;
  static void close_completions(void* schedule) noexcept;

  napi_env env_;
  bool closing_ = false;
  std::map<Device*, Lane> lanes_;
  std::map<int64_t, std::weak_ptr<Forward>> named_;
  std::shared_ptr<Completions> completions_;
};

}  // namespace latte::binding
