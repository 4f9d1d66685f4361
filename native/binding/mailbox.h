// Where the devices' threads leave what they have finished, for one JavaScript environment.
#pragma once

#include <napi.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "backend/backend.h"

namespace latte::binding {

class Mailbox;

/// What other threads hold of a task. Nothing of JavaScript's is in it: references to that die on
/// the JavaScript thread only.
class Run final : public Work, public std::enable_shared_from_this<Run> {
 public:
  explicit Run(std::function<void(Queue&)> work) : work_(std::move(work)) {}
  void run(Queue& queue) override { work_(queue); }

  std::shared_ptr<Mailbox> mailbox;  // where the run is delivered; null: nowhere

 protected:
  void done() noexcept override;

 private:
  std::function<void(Queue&)> work_;
};

/// Shared with the devices' threads, so that it is there whatever becomes of the environment.
class Mailbox : public std::enable_shared_from_this<Mailbox> {
 public:
  /// Calls `received` on the JavaScript thread after deliveries. Holds the event loop only while
  /// runs are under way.
  Mailbox(Napi::Env env, std::function<void()> received);

  /// Gives a run to a device that has a thread of its own.
  void send(Device& device, const std::shared_ptr<Run>& run);
  /// The runs that are finished.
  std::vector<std::shared_ptr<Run>> take();
  /// Waits until nothing is under way. The JavaScript thread is not called any more.
  void close();

  void deliver(std::shared_ptr<Run> run);

 private:
  static void wake(napi_env env, napi_value, void* context, void*);

  Napi::Env env_;
  std::function<void()> received_;
  napi_threadsafe_function waker_ = nullptr;
  size_t sent_ = 0;  // and not yet taken; known to the JavaScript thread alone

  std::mutex mutex_;
  std::condition_variable changed_;
  size_t under_way_ = 0;
  bool closed_ = false;
  std::vector<std::shared_ptr<Run>> finished_;
};

}  // namespace latte::binding
