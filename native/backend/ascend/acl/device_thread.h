// The one thread that owns a device's context and stream. All calls of ACL for this device are made
// on this thread, because a context belongs to a thread, and so do ACL's error messages.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "backend/ascend/acl/acl_context.h"
#include "backend/backend.h"

namespace latte::ascend {

/// A work on its way through the thread. It waits, is launched on the stream, is in flight until
/// its event completes, and lands.
class Flight {
 public:
  virtual ~Flight() = default;
  /// Launches the work's operations on the stream. If it throws, only this work fails.
  virtual void launch() = 0;
  virtual bool is_cancelled() const = 0;
  /// Called once for each flight: when the tasks of launch() have ended, with their error if one
  /// has failed, or with the reason why launch() was not called. Frees what the work held and
  /// reports its end. Must not throw.
  virtual void land(const std::optional<Error>& error) = 0;
};

/// See the top of the file. Functions may be called on any thread unless noted otherwise.
class DeviceThread {
 public:
  /// Functions that are called on the thread.
  struct Hooks {
    /// Called when the device opens: its context is current, its stream exists. If it throws, the
    /// opening fails.
    std::function<void()> opened;
    /// Called if an opening fails: gives back what opened() made. The next work or call tries
    /// again.
    std::function<void()> opening_failed;
    /// Called if the device is open and no work or call is waiting or in flight.
    std::function<void()> idle;
    /// Called if a task has failed, before the context is destroyed with all that belongs to it. If
    /// `stopped`, tasks after the failed one never end.
    std::function<void(bool stopped)> failed;
    /// Called after a new context and stream have replaced failed ones. If it throws, the device is
    /// lost.
    std::function<void()> recovered;
    /// Called before the thread ends. Later calls of ACL are not possible. If `stopped`, tasks may
    /// never end.
    std::function<void(bool stopped)> closing;
  };

  DeviceThread(const AclFunctions& acl, int32_t device, Hooks hooks)
      : acl_(acl), device_(device), hooks_(std::move(hooks)) {}
  ~DeviceThread() { stop(); }

  /// Starts the thread, which opens the device when the first work or call comes. If the opening
  /// fails, all works and calls that wait fail with ERR_DEVICE_UNAVAILABLE, and later ones try
  /// again.
  void start();
  bool is_open() const;
  /// Adds a flight. Flights are launched in the order of their submission. On a device that is lost
  /// or closed they land at once. If this throws, the flight never lands.
  void submit(std::unique_ptr<Flight> flight);
  /// Lands, on the calling thread, the flights that were cancelled before they were launched.
  void drop_cancelled();
  /// Calls a function on the thread, before waiting flights are launched, and returns when it has
  /// returned. Throws what it throws. If the calling thread is this one, calls it directly.
  void call(const std::function<void()>& function);
  /// The same without waiting: returns at once, and drops what the function throws. Returns false,
  /// and does not call it, if the device is not open.
  bool post(std::function<void()> function);
  /// Waits for the flights that are in flight, refuses those that wait, closes stream and context,
  /// and ends the thread.
  void stop();
  /// Whether stop() could not give everything back, because the tasks of a scratch context do not
  /// end. Then ACL must not be finalised.
  bool left_something() const { return abandoned_; }

  /// Whether the calling thread is this one.
  bool is_current() const { return std::this_thread::get_id() == thread_.get_id(); }

  // Only on the thread itself:

  aclrtStream stream() const { return context_.stream(); }
  /// Waits for the stream. If a task has failed, throws its error, which names `operation`, and
  /// every work in flight fails. The device recovers after the work or call that calls this has
  /// ended.
  void synchronise(const char* operation = "aclrtSynchronizeStream");
  /// Makes all later works run after an event of another part of the process, also if the stream is
  /// replaced before.
  void run_after(aclrtEvent event);
  /// A context for a trial. When it is destroyed, the device's context is the current one again.
  ScratchContext scratch_context() { return {acl_, device_, context_.context(), abandoned_}; }

 private:
  struct InFlight {
    std::unique_ptr<Flight> flight;
    EventHandle event;
    size_t awaited = 0;  // how many of `awaited_` the stream waits for before this flight ends
  };

  void run();
  bool open_when_wanted();
  void open();
  void refuse_opening(const Error& reason);
  void begin(std::unique_ptr<Flight> flight);
  void poll();
  void land(InFlight flight, const std::optional<Error>& error);
  void land_all(const std::optional<Error>& error);
  void forget_awaited(size_t count);
  void recover(const Error& error);
  void renew_context();
  void recover_if_failed();
  void lose(const Error& error);
  void close();
  EventHandle take_event();

  const AclFunctions& acl_;
  const int32_t device_;
  const Hooks hooks_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> calls_;
  std::deque<std::unique_ptr<Flight>> waiting_;
  bool opened_ = false, stopping_ = false;
  /// Set once the device is lost or closed; every later work and call fails with it.
  std::optional<Error> lost_;

  bool device_is_set_ = false, abandoned_ = false;
  StreamContext context_;
  std::optional<Error> not_opened_;  // set while calls are refused: the reason
  std::optional<Error> failed_;      // what synchronise() threw since the last recovery
  std::deque<InFlight> in_flight_;
  std::deque<aclrtEvent> awaited_;   // events of run_after() that may not have completed yet
  std::vector<EventHandle> events_;  // free ones, for the next flights
  // The thread uses everything above, so it is constructed last and destroyed first.
  std::thread thread_;
};

}  // namespace latte::ascend
