// The tasks of one JavaScript environment: in order for each device, independent between devices.
#pragma once

#include <napi.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>

#include "binding/mailbox.h"

namespace latte::binding {

/// One piece of work in a device's lane. Known to the JavaScript thread alone.
struct Task {
  Device& device;
  std::shared_ptr<Run> run;
  /// Called once on the JavaScript thread when the run is done, unless the task was withdrawn.
  std::function<void()> finished;
  int waits_for = 0;  // tasks of other devices that have to be finished first
  bool submitted = false;
};

class Lanes {
 public:
  explicit Lanes(Napi::Env env) : env_(env) {}
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;
  ~Lanes();

  /// Puts a task behind the others of its device.
  void add(const std::shared_ptr<Task>& task);
  /// Takes a task out that was not submitted yet; false for any other.
  bool withdraw(const std::shared_ptr<Task>& task);
  /// Submits what may be submitted now. To be called when a task need not wait any longer.
  void advance(Device& device);

 private:
  using Lane = std::deque<std::shared_ptr<Task>>;
  struct HostWork;

  void submit(const std::shared_ptr<Task>& task);
  /// Hands a task to a thread of libuv's pool.
  void submit_to_host(const std::shared_ptr<Task>& task);
  void receive();
  void finish(const std::shared_ptr<Task>& task);
  static void close(void* lanes);

  Napi::Env env_;
  std::map<Device*, Lane> lanes_;
  std::shared_ptr<Mailbox> mailbox_;
};

}  // namespace latte::binding
