#include "backend/backend.h"

#include <condition_variable>
#include <mutex>
#include <utility>

namespace latte {

std::shared_ptr<Buffer> Device::adopt(void*, size_t, void*) {
  fail(ErrorCode::kValue, "device '", name(), "' takes in no memory of others");
}

void run_and_wait(Device& device, std::function<void(Queue&)> run) {
  std::mutex mutex;
  std::condition_variable changed;
  bool finished = false;
  std::optional<Error> error;
  Work work;
  work.run = std::move(run);
  work.done = [&](const std::optional<Error>& outcome) {
    // Notified under the lock: the waiting thread destroys both as soon as it may.
    const std::lock_guard lock(mutex);
    error = outcome;
    finished = true;
    changed.notify_one();
  };
  device.submit(std::move(work));
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return finished; });
  if (error) throw *error;
}

}  // namespace latte
