// The schedule of one JavaScript environment: the works of each device run in order; different
// devices are independent.
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

/// A list of works that devices' threads have finished and that the JavaScript thread has not taken
/// yet. Those threads share it, so it may live longer than the environment.
class Completions {
 public:
  /// After works were added, schedule.receive() is called on the JavaScript thread. Keeps the event
  /// loop alive only while works are expected.
  Completions(napi_env env, Schedule& schedule);

  /// To be called before a work is submitted that will be added. On the JavaScript thread.
  void expect() noexcept;
  /// To be called if a work that was expected will not be added. On the JavaScript thread.
  void withdraw() noexcept;
  /// Adds a finished work. On any thread. Allocates nothing.
  void add(ScheduledWork& work) noexcept;
  /// Removes the works that were added and returns them, linked in their order. On the JavaScript
  /// thread.
  ScheduledWork* take() noexcept;
  /// To be called, instead of close(), if the object is not used after its construction.
  void abandon() noexcept;
  /// Waits until all expected works were added. The JavaScript thread is not woken any more.
  void close() noexcept;

 private:
  static void wake(napi_env env, napi_value, void* schedule, void*) noexcept;
  void release(size_t works) noexcept;

  napi_env env_;
  napi_threadsafe_function waker_ = nullptr;
  size_t untaken_ = 0;  // works expected and not taken yet; used on the JavaScript thread

  std::mutex mutex_;
  std::condition_variable changed_;
  size_t under_way_ = 0;  // works expected and not added yet
  bool closed_ = false, woken_ = false;
  ScheduledWork* first_ = nullptr;
  ScheduledWork* last_ = nullptr;
};

/// An entry in a device's order: a work, and the forward to which it belongs. Used on the
/// JavaScript thread: the forward refers to JavaScript objects, which other threads must not touch.
struct Place {
  std::shared_ptr<ScheduledWork> work;
  std::shared_ptr<Forward> forward;
};

/// A work in a schedule. It refers to no JavaScript object, because it may be destroyed on a
/// device's thread.
class ScheduledWork : public Work {
 public:
  explicit ScheduledWork(Device& where) : device(where) {}

  Device& device;
  bool ready = true;  // false: works of other devices must end first. Used on the JavaScript thread

 protected:
  void done() noexcept final;

 private:
  friend class Completions;
  friend class Schedule;
  enum class State { kOutside, kWaiting, kSubmitted };

  State state_ = State::kOutside;             // used on the JavaScript thread
  std::list<Place>::iterator place_;          // unless kOutside; used on the JavaScript thread
  std::shared_ptr<Completions> completions_;  // null: the thread that submitted the work waits
  ScheduledWork* next_ = nullptr;             // in Completions
};

/// Used only on the JavaScript thread. If something fails after a work was added, that work ends
/// with the error: no later call throws it.
class Schedule {
 public:
  explicit Schedule(napi_env env);
  Schedule(const Schedule&) = delete;
  Schedule& operator=(const Schedule&) = delete;
  ~Schedule();

  /// Adds a work after the others of its device. It is submitted by advance() at the earliest. If
  /// this throws, nothing was added.
  void add(const std::shared_ptr<ScheduledWork>& work, const std::shared_ptr<Forward>& forward);
  /// Removes a work that was not submitted. Returns false if it was submitted or is not here.
  bool withdraw(ScheduledWork& work) noexcept;
  /// Submits the device's works that may run now. To be called after a work was added, removed or
  /// made ready.
  void advance(Device& device) noexcept;

  /// Gives a forward an id for cancel(), until forget().
  void name(int64_t id, const std::shared_ptr<Forward>& forward);
  void forget(int64_t id) noexcept { named_.erase(id); }
  /// Cancels the forward with this id. Does nothing if there is none, or none any more.
  void cancel(int64_t id) noexcept;

 private:
  friend class Completions;
  struct HostWork;
  struct Lane {
    std::list<Place> waiting, submitted;
  };

  void submit(ScheduledWork& work);
  /// Runs a work of the CPU on a thread of libuv's pool.
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
