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

#include "backend/ascend/acl_handle.h"
#include "backend/backend.h"

namespace latte::ascend {

/// A work on its way through the thread.
class Flight {
 public:
  virtual ~Flight() = default;
  /// Gives the work's operations to the stream. What it throws fails this work alone.
  virtual void launch() = 0;
  /// All that launch() gave the stream is done (or has failed, or was never given): gives back what
  /// the work held and tells whoever waits. Called once, also without launch(). Must not throw.
  virtual void land(const std::optional<Error>& error) = 0;
};

class DeviceThread {
 public:
  struct Hooks {
    std::function<void()> opened;   // the context is current, the stream is open; may throw
    std::function<void()> idle;     // of an open device: nothing is waiting or in flight
    std::function<void()> reset;    // the stream was replaced after an asynchronous error
    std::function<void()> closing;  // the last moment at which ACL may be asked for anything
  };

  DeviceThread(const AclFunctions& acl, int32_t device, Hooks hooks)
      : acl_(acl), device_(device), hooks_(std::move(hooks)) {}
  ~DeviceThread() { stop(); }

  /// Starts the thread and waits until the device is open; throws why it is not.
  void start();
  /// Works are launched in the order of their submission. On a device that is lost or closed they
  /// land at once.
  void submit(std::unique_ptr<Flight> flight);
  /// Runs on the thread before any work that waits, and returns when it has run; throws what it
  /// throws. On the thread itself it just runs.
  void call(const std::function<void()>& function);
  /// Lands what is in flight, refuses what waits, closes stream and context, ends the thread.
  void stop();

  aclrtStream stream() const { return stream_.get(); }
  bool is_current() const { return std::this_thread::get_id() == thread_.get_id(); }
  /// Waits for the stream, on the thread. Throws what it reports, once all on the stream has
  /// failed.
  void synchronise();

 private:
  struct InFlight {
    std::unique_ptr<Flight> flight;
    EventHandle event;
  };

  void run();
  void open();
  void begin(std::unique_ptr<Flight> flight);
  void poll();
  void land_all(const Error& error);
  void recover(const Error& error);
  void lose(const Error& error);
  void close();
  EventHandle take_event();

  const AclFunctions& acl_;
  const int32_t device_;
  const Hooks hooks_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> calls_;
  std::deque<std::unique_ptr<Flight>> waiting_;
  bool opened_ = false, stopping_ = false;
  std::optional<Error> lost_;  // why nothing works any more

  bool device_is_set_ = false;
  ContextHandle context_;
  StreamHandle stream_;
  std::deque<InFlight> in_flight_;
  std::vector<EventHandle> events_;  // for the next works
  std::thread thread_;
};

}  // namespace latte::ascend
