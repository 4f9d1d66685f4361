#include "backend/ascend/device_thread.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

namespace latte::ascend {

namespace {

using Clock = std::chrono::steady_clock;

/// As many works may be on the stream at once: enough for the next to be there when one ends, few
/// enough that an aborted one has not been launched yet.
constexpr size_t kMostInFlight = 4;

/// The codes after which the device, not just a stream, is of no use to this process
/// (docs/ascend-operations.md).
bool means_lost(int status) {
  constexpr int kLost[] = {ACL_ERROR_RT_LOST_HEARTBEAT, ACL_ERROR_RT_DEVICE_MEM_ERROR,
                           ACL_ERROR_RT_HBM_MULTI_BIT_ECC_ERROR, ACL_ERROR_RT_DRV_INTERNAL_ERROR};
  return std::find(std::begin(kLost), std::end(kLost), status) != std::end(kLost);
}

}  // namespace

void DeviceThread::start() {
  std::unique_lock lock(mutex_);
  // Under the lock, so that the thread sees its own `thread_`.
  thread_ = std::thread([this] { run(); });
  changed_.wait(lock, [&] { return opened_ || lost_.has_value(); });
  if (lost_) throw *lost_;
}

void DeviceThread::submit(std::unique_ptr<Flight> flight) {
  std::unique_lock lock(mutex_);
  if (!lost_) {
    waiting_.push_back(std::move(flight));
    changed_.notify_all();
    return;
  }
  const Error error = *lost_;
  lock.unlock();
  flight->land(error);
}

void DeviceThread::call(const std::function<void()>& function) {
  if (is_current()) return function();
  bool finished = false;
  std::exception_ptr failure;
  std::unique_lock lock(mutex_);
  if (lost_) throw *lost_;
  calls_.emplace_back([&] {
    try {
      function();
    } catch (...) {
      failure = std::current_exception();
      const Error error = current_error();
      if (error.code() == ErrorCode::kDevice && means_lost(error.status())) lose(error);
    }
    const std::lock_guard finished_lock(mutex_);
    finished = true;
    changed_.notify_all();
  });
  changed_.notify_all();
  changed_.wait(lock, [&] { return finished; });
  if (failure) std::rethrow_exception(failure);
}

void DeviceThread::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void DeviceThread::synchronise() {
  const int status = acl_.aclrtSynchronizeStream(stream());
  if (status == ACL_SUCCESS) return;
  const Error error = device_error(acl_, "aclrtSynchronizeStream", status);
  recover(error);
  throw error;
}

void DeviceThread::open() {
  LATTE_ACL(acl_, aclrtSetDevice, device_);
  device_is_set_ = true;
  context_ = create_context(acl_, device_);
  LATTE_ACL(acl_, aclrtSetCurrentContext, context_.get());
  stream_ = create_stream(acl_);
  hooks_.opened();
  const std::lock_guard lock(mutex_);
  opened_ = true;
  changed_.notify_all();
}

void DeviceThread::run() {
  { const std::lock_guard started(mutex_); }
  try {
    open();
  } catch (...) {
    lose(current_error());
  }
  auto last_activity = Clock::now();
  while (true) {
    std::function<void()> call;
    std::unique_ptr<Flight> flight;
    {
      std::unique_lock lock(mutex_);
      const auto wanted = [&] {
        return !calls_.empty() || stopping_ ||
               (!waiting_.empty() && in_flight_.size() < kMostInFlight);
      };
      if (in_flight_.empty()) {
        if (!wanted() && !lost_) {
          lock.unlock();
          hooks_.idle();
          lock.lock();
        }
        changed_.wait(lock, wanted);
      } else if (Clock::now() - last_activity > std::chrono::microseconds(50)) {
        // A short spin first: small works end within it. Then the core is somebody else's.
        changed_.wait_for(lock, std::chrono::microseconds(50), wanted);
      }
      if (!calls_.empty()) {
        call = std::move(calls_.front());
        calls_.pop_front();
      } else if (!waiting_.empty() && in_flight_.size() < kMostInFlight && !stopping_) {
        flight = std::move(waiting_.front());
        waiting_.pop_front();
      } else if (stopping_ && in_flight_.empty()) {
        break;
      }
    }
    if (call) {
      call();
    } else if (flight) {
      begin(std::move(flight));
      last_activity = Clock::now();
    }
    const size_t before = in_flight_.size();
    poll();
    if (in_flight_.size() != before) last_activity = Clock::now();
  }
  close();
}

void DeviceThread::close() {
  lose(Error(ErrorCode::kState, "the device was closed"));
  // Calls that came before the thread was known to end.
  std::deque<std::function<void()>> calls;
  {
    const std::lock_guard lock(mutex_);
    calls.swap(calls_);
  }
  for (const auto& call : calls) call();
  hooks_.closing();
  events_.clear();
  stream_.reset();
  context_.reset();
  if (device_is_set_) acl_.aclrtResetDevice(device_);
}

EventHandle DeviceThread::take_event() {
  if (events_.empty()) return create_event(acl_);
  EventHandle event = std::move(events_.back());
  events_.pop_back();
  return event;
}

void DeviceThread::begin(std::unique_ptr<Flight> flight) {
  try {
    flight->launch();
    EventHandle event = take_event();
    LATTE_ACL(acl_, aclrtRecordEvent, event.get(), stream());
    in_flight_.push_back({std::move(flight), std::move(event)});
  } catch (...) {
    const Error error = current_error();
    // What was launched before the failure still uses the work's memory: let it end first.
    const int status = acl_.aclrtSynchronizeStream(stream());
    if (status != ACL_SUCCESS) recover(device_error(acl_, "aclrtSynchronizeStream", status));
    flight->land(error);
    if (error.code() == ErrorCode::kDevice && means_lost(error.status())) lose(error);
  }
}

void DeviceThread::poll() {
  while (!in_flight_.empty()) {
    auto& [flight, event] = in_flight_.front();
    aclrtEventRecordedStatus status = ACL_EVENT_RECORDED_STATUS_NOT_READY;
    int error = acl_.aclrtQueryEventStatus(event.get(), &status);
    const char* operation = "aclrtQueryEventStatus";
    if (error == ACL_SUCCESS) {
      if (status != ACL_EVENT_RECORDED_STATUS_COMPLETE) return;
      // Reached is not the same as well: the synchronisation is what reports a failed kernel.
      operation = in_flight_.size() == 1 ? "aclrtSynchronizeStream" : "aclrtSynchronizeEvent";
      error = in_flight_.size() == 1 ? acl_.aclrtSynchronizeStream(stream())
                                     : acl_.aclrtSynchronizeEvent(event.get());
    }
    if (error != ACL_SUCCESS) {
      recover(device_error(acl_, operation, error));
      return;
    }
    InFlight landed = std::move(in_flight_.front());
    in_flight_.pop_front();
    events_.push_back(std::move(landed.event));
    landed.flight->land(std::nullopt);
  }
}

void DeviceThread::land_all(const Error& error) {
  while (!in_flight_.empty()) {
    InFlight landed = std::move(in_flight_.front());
    in_flight_.pop_front();
    landed.flight->land(error);
  }
}

/// After an asynchronous error the stream runs nothing any more: all that was on it has failed. A
/// new one takes its place, unless the device itself is lost.
void DeviceThread::recover(const Error& error) {
  if (means_lost(error.status())) return lose(error);
  // Over and destroyed before its works land: from here on nothing touches their memory.
  acl_.aclrtSynchronizeStream(stream());
  stream_.reset();
  try {
    stream_ = create_stream(acl_);
    events_.clear();
    hooks_.reset();
  } catch (...) {
    return lose(error);
  }
  land_all(error);
}

void DeviceThread::lose(const Error& error) {
  std::deque<std::unique_ptr<Flight>> refused;
  {
    const std::lock_guard lock(mutex_);
    if (!lost_) lost_ = error;
    refused.swap(waiting_);
    changed_.notify_all();
  }
  if (!in_flight_.empty()) {
    acl_.aclrtSynchronizeStream(stream());
    land_all(error);
  }
  for (const auto& flight : refused) flight->land(error);
}

}  // namespace latte::ascend
