#include "backend/ascend/acl/device_thread.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <iterator>
#include <string>
#include <utility>

namespace latte::ascend {

namespace {

using Clock = std::chrono::steady_clock;

/// The most flights on the stream at once: enough that the next one is there when one ends, and few
/// enough that most aborted ones have not been launched yet.
constexpr size_t kMostInFlight = 4;

/// Whether an error means that this process cannot use the device any more, even in a new context
/// (docs/ascend-operations.md).
bool means_lost(const Error& error) {
  constexpr int kLost[] = {ACL_ERROR_RT_LOST_HEARTBEAT, ACL_ERROR_RT_DEVICE_MEM_ERROR,
                           ACL_ERROR_RT_HBM_MULTI_BIT_ECC_ERROR, ACL_ERROR_RT_DRV_INTERNAL_ERROR};
  return error.code() == ErrorCode::kDevice &&
         std::find(std::begin(kLost), std::end(kLost), error.status()) != std::end(kLost);
}

}  // namespace

void DeviceThread::start() {
  const std::lock_guard lock(mutex_);
  // Under the lock, which the thread takes first: so it sees its own `thread_`.
  thread_ = std::thread([this] { run(); });
}

bool DeviceThread::is_open() const {
  const std::lock_guard lock(mutex_);
  return opened_ && !lost_;
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

void DeviceThread::drop_cancelled() {
  const Error aborted(ErrorCode::kAborted, "the operation was aborted");
  std::vector<std::unique_ptr<Flight>> dropped;
  {
    const std::lock_guard lock(mutex_);
    const auto first =
        std::stable_partition(waiting_.begin(), waiting_.end(),
                              [](const auto& flight) { return !flight->is_cancelled(); });
    dropped.assign(std::make_move_iterator(first), std::make_move_iterator(waiting_.end()));
    waiting_.erase(first, waiting_.end());
  }
  for (const auto& flight : dropped) flight->land(aborted);
}

void DeviceThread::call(const std::function<void()>& function) {
  if (is_current()) return function();
  bool finished = false;
  std::exception_ptr failure;
  std::unique_lock lock(mutex_);
  if (lost_) throw Error(*lost_);
  calls_.emplace_back([&] {
    try {
      if (not_opened_) throw Error(*not_opened_);
      function();
    } catch (...) {
      failure = std::current_exception();
      const Error error = current_error();
      if (!failed_ && means_lost(error)) lose(error);
    }
    recover_if_failed();
    const std::lock_guard finished_lock(mutex_);
    finished = true;
    changed_.notify_all();
  });
  changed_.notify_all();
  changed_.wait(lock, [&] { return finished; });
  if (failure) std::rethrow_exception(failure);
}

bool DeviceThread::post(std::function<void()> function) {
  const std::lock_guard lock(mutex_);
  if (!opened_ || lost_) return false;
  calls_.emplace_back([this, function = std::move(function)] {
    try {
      function();
    } catch (...) {
      const Error error = current_error();
      if (!failed_ && means_lost(error)) lose(error);
    }
    recover_if_failed();
  });
  changed_.notify_all();
  return true;
}

void DeviceThread::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void DeviceThread::synchronise(const char* operation) {
  const int status = acl_.aclrtSynchronizeStream(stream());
  if (status == ACL_SUCCESS) return forget_awaited(awaited_.size());
  const Error error = device_error(acl_, operation, status);
  // Kept here, because a stream that continues after a failure reports it only once.
  failed_ = error;
  throw error;
}

void DeviceThread::run_after(aclrtEvent event) {
  awaited_.push_back(event);
  const int status = acl_.aclrtStreamWaitEvent(stream(), event);
  if (status == ACL_SUCCESS) return;
  awaited_.pop_back();
  throw device_error(acl_, "aclrtStreamWaitEvent", status);
}

void DeviceThread::open() {
  events_.reserve(kMostInFlight);
  LATTE_ACL(acl_, aclrtSetDevice, device_);
  device_is_set_ = true;
  context_ = StreamContext(acl_, device_);
  hooks_.opened();
  recover_if_failed();
  const std::lock_guard lock(mutex_);
  opened_ = true;
  changed_.notify_all();
}

/// Waits for the first work or call, and opens the device. Returns true if the device is open or
/// lost, and false if stop() was called before. Takes the lock first, so that start() has set
/// `thread_`.
bool DeviceThread::open_when_wanted() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return !calls_.empty() || !waiting_.empty() || stopping_; });
      if (stopping_) return false;
    }
    try {
      open();
      return true;
    } catch (...) {
      refuse_opening(current_error());
    }
    const std::lock_guard lock(mutex_);
    if (lost_) return true;
  }
}

void DeviceThread::refuse_opening(const Error& reason) {
  failed_.reset();
  // An abandoned trial still occupies the device, so it cannot be opened again.
  if (abandoned_) return lose(reason);
  hooks_.opening_failed();
  events_.clear();
  context_.destroy_failed();
  context_ = {};
  if (std::exchange(device_is_set_, false)) acl_.aclrtResetDevice(device_);
  std::deque<std::function<void()>> calls;
  std::deque<std::unique_ptr<Flight>> refused;
  {
    const std::lock_guard lock(mutex_);
    calls.swap(calls_);
    refused.swap(waiting_);
  }
  not_opened_ = Error(ErrorCode::kDeviceUnavailable, "device 'npu:" + std::to_string(device_) +
                                                         "' could not be opened: " + reason.what());
  for (const auto& call : calls) call();
  for (const auto& flight : refused) flight->land(not_opened_);
  not_opened_.reset();
}

void DeviceThread::run() {
  if (!open_when_wanted()) not_opened_ = Error(ErrorCode::kState, "the device was closed");
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
          try {
            hooks_.idle();
          } catch (const std::bad_alloc&) {
            // The hook trims caches: what it could not trim now, it trims the next time.
          }
          lock.lock();
        }
        changed_.wait(lock, wanted);
      } else if (Clock::now() - last_activity > std::chrono::microseconds(50)) {
        // For 50 µs the thread polls without sleeping, because small works end within that time.
        // After that it sleeps between polls, to free the core.
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
  const bool failed = lost_.has_value() || !opened_;
  lose(Error(ErrorCode::kState, "the device was closed"));
  // Calls that were added before lose(); later ones throw `lost_`.
  std::deque<std::function<void()>> calls;
  {
    const std::lock_guard lock(mutex_);
    calls.swap(calls_);
  }
  for (const auto& call : calls) call();
  // Tasks that do not end still use memory of the device, and closing would wait for them.
  if (abandoned_) return;
  hooks_.closing(failed && context_.stops_on_failure());
  events_.clear();
  failed ? context_.destroy_failed() : context_.destroy();
  if (device_is_set_) acl_.aclrtResetDevice(device_);
}

EventHandle DeviceThread::take_event() {
  if (events_.empty()) return create_event(acl_);
  EventHandle event = std::move(events_.back());
  events_.pop_back();
  return event;
}

void DeviceThread::begin(std::unique_ptr<Flight> flight) {
  Flight& launching = *flight;
  std::optional<Error> error;
  try {
    // The flight is stored before it is launched: after the launch no allocation may fail and lose
    // it.
    in_flight_.emplace_back();
    in_flight_.back().flight = std::move(flight);
    launching.launch();
    EventHandle event = take_event();
    LATTE_ACL(acl_, aclrtRecordEvent, event.get(), stream());
    in_flight_.back().event = std::move(event);
    in_flight_.back().awaited = awaited_.size();
    return;
  } catch (...) {
    error = current_error();
  }
  if (flight != nullptr) return flight->land(error);  // there was no memory to store it
  InFlight refused = std::move(in_flight_.back());
  in_flight_.pop_back();
  // The tasks that it launched before the failure still use its memory, so they must end first.
  // With them end the flights before it, which land with the stream's result.
  if (!failed_) {
    try {
      synchronise();
      land_all(std::nullopt);
    } catch (const Error&) {
      // Kept in failed_.
    }
  }
  recover_if_failed();
  // If the device did not recover, the caller gets the reason for that.
  if (lost_) error = lost_;
  land(std::move(refused), error);
  if (means_lost(*error)) lose(*error);
}

/// Lands the flights that have ended. A completed event does not prove that the work before it
/// succeeded. A stream that continues after a failure completes later events without an error. A
/// stream that stops marks its context as failed, and then completes its events
/// (docs/ascend-operations.md).
void DeviceThread::poll() {
  while (!in_flight_.empty()) {
    const bool stops = context_.stops_on_failure();
    // If the stream does not stop on failure, only aclrtSynchronizeStream reports a failure. The
    // last event is queried first, so that this call does not block.
    const aclrtEvent event = (stops ? in_flight_.front() : in_flight_.back()).event.get();
    const bool synchronises = !stops || in_flight_.size() == 1;
    aclrtEventRecordedStatus status = ACL_EVENT_RECORDED_STATUS_NOT_READY;
    int error = acl_.aclrtQueryEventStatus(event, &status);
    const char* operation = "aclrtQueryEventStatus";
    if (error == ACL_SUCCESS) {
      if (status != ACL_EVENT_RECORDED_STATUS_COMPLETE) return;
      if (synchronises) {
        operation = "aclrtSynchronizeStream";
        error = acl_.aclrtSynchronizeStream(stream());
      } else {
        // If the context failed during the first query, the second one returns the failure.
        error = acl_.aclrtQueryEventStatus(event, &status);
      }
    }
    if (error != ACL_SUCCESS) return recover(device_error(acl_, operation, error));
    if (synchronises) {
      land_all(std::nullopt);
      forget_awaited(awaited_.size());
    } else {
      InFlight landed = std::move(in_flight_.front());
      in_flight_.pop_front();
      land(std::move(landed), std::nullopt);
    }
  }
}

void DeviceThread::land(InFlight landed, const std::optional<Error>& error) {
  if (landed.event) events_.push_back(std::move(landed.event));
  // This work has ended, so the events that it had to wait for are complete.
  if (!error) forget_awaited(landed.awaited);
  landed.flight->land(error);
}

/// Forgets the first `count` of `awaited_`, which are complete.
void DeviceThread::forget_awaited(size_t count) {
  awaited_.erase(awaited_.begin(), awaited_.begin() + static_cast<std::ptrdiff_t>(count));
  for (InFlight& flight : in_flight_) flight.awaited -= std::min(count, flight.awaited);
}

void DeviceThread::land_all(const std::optional<Error>& error) {
  while (!in_flight_.empty()) {
    InFlight landed = std::move(in_flight_.front());
    in_flight_.pop_front();
    land(std::move(landed), error);
  }
}

void DeviceThread::recover_if_failed() {
  if (failed_) recover(Error(*failed_));
}

/// Called after a task has failed. It is unknown to which work the task belongs, so all works in
/// flight fail. The device continues with a new context and stream, unless it is lost itself.
void DeviceThread::recover(const Error& error) {
  failed_.reset();
  if (means_lost(error)) return lose(error);
  try {
    renew_context();
  } catch (...) {
    failed_.reset();
    const Error reason = current_error();
    return lose({std::string(error.what()) + "; the device did not recover: " + reason.what(),
                 error.operation(), error.status()});
  }
  land_all(error);
}

/// Replaces the context. Streams, events and executors end with their context; device memory and
/// pinned memory stay (docs/ascend-operations.md). The old context is destroyed before its
/// works land, so that no task uses their memory after that.
void DeviceThread::renew_context() {
  const std::deque<aclrtEvent> awaited = std::exchange(awaited_, {});
  acl_.aclrtSynchronizeStream(stream());  // a stream that continues may still run tasks
  for (InFlight& flight : in_flight_) flight.event.reset();
  events_.clear();
  hooks_.failed(context_.stops_on_failure());
  context_.destroy_failed();
  acl_.aclGetRecentErrMsg();  // clears messages of the failed context
  context_ = StreamContext(acl_, device_);
  // This throws if the whole device has failed, and not only the context.
  synchronise();
  hooks_.recovered();
  // The old stream may not have waited for these events. Their owners keep them until the first
  // forward has settled, and that may be one that is about to fail: so wait for them here.
  for (const aclrtEvent event : awaited) {
    if (acl_.aclrtSynchronizeEvent(event) != ACL_SUCCESS) acl_.aclGetRecentErrMsg();
  }
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
    if (stream() != nullptr) acl_.aclrtSynchronizeStream(stream());
    land_all(error);
  }
  for (const auto& flight : refused) flight->land(error);
}

}  // namespace latte::ascend
