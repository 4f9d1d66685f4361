#include "backend/backend.h"

#include <condition_variable>
#include <mutex>

namespace latte {

namespace {

/// The work of run_and_wait().
class WaitedWork final : public Work {
 public:
  explicit WaitedWork(const std::function<void(Queue&)>& function) : function_(function) {}

  void run(Queue& queue) override { function_(queue); }

  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return finished_; });
  }

 protected:
  void done() noexcept override {
    const std::lock_guard lock(mutex_);
    finished_ = true;
    changed_.notify_one();
  }

 private:
  const std::function<void(Queue&)>& function_;  // lives on the waiting thread's stack
  std::mutex mutex_;
  std::condition_variable changed_;
  bool finished_ = false;
};

}  // namespace

std::shared_ptr<Buffer> Device::borrow(void*, size_t, void*) {
  fail(ErrorCode::kValue, "device '", name(), "' takes in no memory of others");
}

void Queue::repeat_rows(const TensorView& from, int64_t times, const TensorView& to) {
  if (to.bytes() == 0) return;
  TensorView source = from, target = to;
  source.shape[0] = target.shape[0] = 1;
  for (int64_t row = 0; row < from.shape[0]; ++row) {
    for (int64_t i = 0; i < times; ++i) {
      convert(source, target);
      target.data = static_cast<char*>(target.data) + target.bytes();
    }
    source.data = static_cast<char*>(source.data) + source.bytes();
  }
}

void run_and_wait(Device& device, const std::function<void(Queue&)>& run) {
  const auto work = std::make_shared<WaitedWork>(run);
  device.submit(work);
  work->wait();
  if (work->error) throw *work->error;
}

}  // namespace latte
