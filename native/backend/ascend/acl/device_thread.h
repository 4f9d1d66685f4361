// The one thread that owns a device's context and stream. Everything asked of ACL for this device
// is asked here: a context belongs to a thread, and so do its error messages.
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

/// A work on its way through the thread.
class Flight {
 public:
  virtual ~Flight() = default;
  /// Gives the work's operations to the stream. What it throws fails this work alone.
  virtual void launch() = 0;
  virtual bool is_cancelled() const = 0;
  /// All that launch() gave the stream has ended, and has succeeded if `error` is empty; or it was
  /// never given. Frees what the work held and reports its end. Called once, also without launch().
  /// Must not throw.
  virtual void land(const std::optional<Error>& error) = 0;
};

class DeviceThread {
 public:
  /// All run on the thread.
  struct Hooks {
    std::function<void()> opened;  // the context is current, the stream is open; may throw
    /// An opening has failed: gives back what opened() made. The next work or call tries again.
    std::function<void()> opening_failed;
    std::function<void()> idle;  // of an open device: nothing is waiting or in flight
    /// A task has failed: the context is going to be destroyed, with all that belongs to it.
    /// `stopped`: tasks behind the failed one never end.
    std::function<void(bool stopped)> failed;
    /// A new context is current, with a new stream. Throws if the device is of no use all the same.
    std::function<void()> recovered;
    /// The last moment at which ACL may be asked for anything. `stopped`: tasks may never end.
    std::function<void(bool stopped)> closing;
  };

  DeviceThread(const AclFunctions& acl, int32_t device, Hooks hooks)
      : acl_(acl), device_(device), hooks_(std::move(hooks)) {}
  ~DeviceThread() { stop(); }

  /// Starts the thread, which opens the device when the first work or call comes. If that fails,
  /// all that waits for it fails with ERR_DEVICE_UNAVAILABLE, and later works or calls try again.
  void start();
  bool is_open() const;
  /// Works are launched in the order of their submission. On a device that is lost or closed they
  /// land at once. If this throws, the flight has not landed and never will.
  void submit(std::unique_ptr<Flight> flight);
  /// Lands, on the calling thread, what was cancelled before it was launched.
  void drop_cancelled();
  /// Runs on the thread before any work that waits, and returns when it has run; throws what it
  /// throws. On the thread itself it just runs.
  void call(const std::function<void()>& function);
  /// Runs on the thread of an open device, before any work that waits. Returns at once: false if
  /// the function will not run. What it throws is dropped.
  bool post(std::function<void()> function);
  /// Lands what is in flight, refuses what waits, closes stream and context, ends the thread.
  void stop();
  /// Whether stop() had to leave something to the end of the process (a scratch context whose work
  /// does not end): ACL must not be finalised then.
  bool left_something() const { return abandoned_; }

  bool is_current() const { return std::this_thread::get_id() == thread_.get_id(); }

  // On the thread alone:

  aclrtStream stream() const { return context_.stream(); }
  /// Waits for the stream. Throws the failure of a task, which fails every work in flight;
  /// `operation` is the name that the error carries. The device recovers when the work or the call
  /// that waits has ended.
  void synchronise(const char* operation = "aclrtSynchronizeStream");
  /// All works from now on run after another party's event, also if the stream fails meanwhile.
  void run_after(aclrtEvent event);
  /// A context of its own for a trial. The device's context is current again after its end.
  ScratchContext scratch_context() { return {acl_, device_, context_.context(), abandoned_}; }

 private:
  struct InFlight {
    std::unique_ptr<Flight> flight;
    EventHandle event;
    size_t awaited = 0;  // events of others that the stream had to wait for by then
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
  std::optional<Error> not_opened_;  // while calls are refused for it
  std::optional<Error> failed_;      // what synchronise() threw since the last recovery
  std::deque<InFlight> in_flight_;
  std::deque<aclrtEvent> awaited_;   // of others; not known to be complete
  std::vector<EventHandle> events_;  // for the next works
  // The thread uses everything above: it is made last and ends first.
  std::thread thread_;
};

}  // namespace latte::ascend
