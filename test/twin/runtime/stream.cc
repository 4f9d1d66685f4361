#include "runtime/stream.h"

#include <atomic>
#include <chrono>
#include <utility>

#include "runtime/traffic.h"

namespace latte::twin {

namespace {

/// Memory that the running task uses beside what it named when it was queued.
struct Running {
  Stream* stream = nullptr;
  std::vector<Use>* uses = nullptr;
  int code = 0;
};
thread_local Running running;

/// Tasks that hang wait until this number grows.
struct Hanging {
  std::mutex mutex;
  std::condition_variable changed;
  int64_t ended = 0;
};
Hanging& hanging() {
  static auto* instance = new Hanging;
  return *instance;
}

// ACL_ERROR_RT_AICORE_TIMEOUT (rt_error_codes.h, 8.1.RC1).
constexpr int kTimeout = 507014;

int64_t ended_hangs() {
  const std::lock_guard lock(hanging().mutex);
  return hanging().ended;
}

/// Waits like a task whose kernel does not end. Returns the device's code for it. `before` is the
/// number when the task was submitted, because the task may be ended before it starts.
int hang(int64_t before) {
  std::unique_lock lock(hanging().mutex);
  hanging().changed.wait(lock, [&] { return hanging().ended != before; });
  return kTimeout;
}

std::atomic<bool> stop_mode_is_supported{environment_number("LATTE_TWIN_STOP_MODE", 1) != 0};

}  // namespace

void end_hanging_tasks() {
  const std::lock_guard lock(hanging().mutex);
  ++hanging().ended;
  hanging().changed.notify_all();
}

bool supports_stop_mode() { return stop_mode_is_supported; }
void support_stop_mode(bool supported) { stop_mode_is_supported = supported; }

void Completion::complete() {
  const std::lock_guard lock(mutex_);
  done_ = true;
  changed_.notify_all();
}

bool Completion::is_done() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

void Completion::wait() const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return done_; });
}

void give_back(Task& task) {
  for (const Use& use : task.uses) Memory::instance().release(use);
  for (const HostUse& use : task.host_uses) Memory::instance().release(use);
  task.uses.clear();
  task.host_uses.clear();
}

Stream::Stream(std::shared_ptr<Context> context, uint64_t number)
    : context_(std::move(context)),
      random_(static_cast<uint64_t>(environment_number("LATTE_TWIN_SEED", 1)) * 1000003 + number),
      longest_delay_(environment_number("LATTE_TWIN_DELAY", 200)),
      launch_time_(environment_number("LATTE_TWIN_LAUNCH_US", 0)),
      thread_([this] { run(); }) {}

Stream::~Stream() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

/// "After a stop on failure no new task may be submitted" (hicann/runtime 681ef76,
/// api_ref/06_stream_management.md, aclrtSetStreamFailureMode): the call returns the failure.
int Stream::push(Task task) {
  const int code = stopped();
  if (code != 0) {
    give_back(task);
    return failure(code, format("%s: the context has failed with %d", task.name.c_str(), code));
  }
  task.ended_hangs = ended_hangs();
  const std::lock_guard lock(mutex_);
  if (capture_ != nullptr) {
    // None of its tasks runs at this point.
    for (const Use& use : task.uses) {
      Memory::instance().capture(use);
      Memory::instance().release(use);
    }
    capture_->tasks.push_back(std::move(task));
    return 0;
  }
  if (task.count_launch) task.count_launch();
  if (task.count_kernels) task.count_kernels();
  tasks_.push_back(std::move(task));
  changed_.notify_all();
  return 0;
}

bool Stream::begin_capture() {
  const std::lock_guard lock(mutex_);
  if (capture_ != nullptr) return false;
  capture_ = std::make_unique<Capture>();
  return true;
}

std::unique_ptr<Capture> Stream::end_capture() {
  const std::lock_guard lock(mutex_);
  return std::move(capture_);
}

bool Stream::is_captured() const {
  const std::lock_guard lock(mutex_);
  return capture_ != nullptr;
}

void Stream::invalidate_capture() {
  const std::lock_guard lock(mutex_);
  if (capture_ != nullptr) capture_->invalid = true;
}

int Stream::stopped() const {
  {
    const std::lock_guard lock(mutex_);
    if (killed_ != 0) return killed_;
  }
  return context_->status();
}

int Stream::synchronise(int milliseconds) {
  // "context is abort" is checked first, and while waiting (api_impl.cc, StreamSynchronize;
  // stream.cc, SynchronizeExecutedTask).
  if (const int code = context_->status()) return code;
  std::unique_lock lock(mutex_);
  const auto ended = [&] { return tasks_.empty() && !busy_; };
  if (milliseconds < 0) {
    changed_.wait(lock, ended);
  } else if (!changed_.wait_for(lock, std::chrono::milliseconds(milliseconds), ended)) {
    return ACL_ERROR_RT_STREAM_SYNC_TIMEOUT;
  }
  if (killed_ != 0) return killed_;
  if (const int code = context_->status()) return code;
  // "if not in abort mode, the code is none again" (stream.cc, GetError).
  return std::exchange(error_, 0);
}

bool Stream::is_idle() const {
  const std::lock_guard lock(mutex_);
  return tasks_.empty() && !busy_;
}

void Stream::fail(int code) {
  const std::lock_guard lock(mutex_);
  // A later failure replaces an earlier one: the last one is reported (dev_guide/10).
  error_ = code;
  if (context_->stops) {
    int none = 0;
    context_->failure.compare_exchange_strong(none, code);
  }
}

void Stream::kill(int code) {
  const std::lock_guard lock(mutex_);
  if (killed_ == 0) killed_ = code;
  changed_.notify_all();
}

void Stream::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopping_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    busy_ = true;
    lock.unlock();
    execute(task);
    lock.lock();
    busy_ = false;
    changed_.notify_all();
  }
}

void Stream::execute(Task& task) {
  if (task.waits_for != nullptr && stopped() == 0) task.waits_for->wait();
  // One task in four is delayed, so that code that does not wait for its tasks fails.
  if (longest_delay_ > 0 && task.run && random_() % 4 == 0) {
    const auto delay = static_cast<int64_t>(random_() % static_cast<uint64_t>(longest_delay_));
    std::this_thread::sleep_for(std::chrono::microseconds(delay));
  }
  // Sleeps, so that measured throughput depends on this time and not on the host's processor.
  if (launch_time_ > 0 && task.count_launch && stopped() == 0) {
    std::this_thread::sleep_for(std::chrono::microseconds(launch_time_));
  }
  if (stopped() == 0 && task.injected != 0) {
    fail(task.injected == kHangs ? hang(task.ended_hangs) : task.injected);
  } else if (stopped() == 0 && task.run) {
    running = {this, &task.uses, 0};
    int code = task.run();
    if (code == 0) code = running.code;
    running = {};
    if (code != 0) fail(code);
  }
  task.run = nullptr;
  give_back(task);
  if (task.completes != nullptr) task.completes->complete();
}

Handles<Stream>& streams() {
  static auto* handles = new Handles<Stream>(HandleKind::kStream, "stream");
  return *handles;
}

Handles<Event>& events() {
  static auto* handles = new Handles<Event>(HandleKind::kEvent, "event");
  return *handles;
}

std::shared_ptr<Stream> stream_of(const Entry& entry, aclrtStream handle, const char* function,
                                  int& code) {
  auto stream = streams().find(handle, function);
  if (stream == nullptr) {
    code = ACL_ERROR_RT_PARAM_INVALID;
    return nullptr;
  }
  // ACL_ERROR_RT_STREAM_CONTEXT, "stream not in current context" (rt_error_codes.h, 8.1.RC1).
  if (stream->context()->handle != entry.context->handle) {
    code = misuse(ACL_ERROR_RT_STREAM_CONTEXT,
                  format("%s: the stream is not of the thread's current context", function));
    return nullptr;
  }
  return stream;
}

size_t live_streams(int device) {
  size_t count = 0;
  streams().each([&](void*, const Stream& stream) {
    if (device < 0 || stream.device() == device) ++count;
  });
  return count;
}

size_t live_streams_of(const void* context) {
  size_t count = 0;
  streams().each([&](void*, const Stream& stream) {
    if (stream.context()->handle == context) ++count;
  });
  return count;
}

size_t live_events(int device) {
  size_t count = 0;
  events().each([&](void*, const Event& event) {
    if (device < 0 || event.context->device == device) ++count;
  });
  return count;
}

size_t live_events_of(const void* context) {
  size_t count = 0;
  events().each([&](void*, const Event& event) {
    if (event.context->handle == context) ++count;
  });
  return count;
}

void kill_streams(int device, int code) {
  streams().each([&](void*, Stream& stream) {
    if (stream.device() == device) stream.kill(code);
  });
}

}  // namespace latte::twin

using namespace latte::twin;

extern "C" {

TWIN_EXPORT void latte_twin_fail(int code) {
  if (running.code == 0) running.code = code;
}

TWIN_EXPORT void* latte_twin_translate(const void* pointer, size_t bytes) {
  if (running.stream == nullptr) {
    latte_twin_violation("device memory %p was read or written outside of a stream's work",
                         pointer);
    return nullptr;
  }
  const uint64_t address = reinterpret_cast<uint64_t>(pointer);
  for (const Use& use : *running.uses) {
    if (address >= use->address && address - use->address <= use->bytes &&
        bytes <= use->bytes - (address - use->address)) {
      return real_address(*use, pointer);
    }
  }
  std::string reason;
  Use use = Memory::instance().hold(pointer, bytes, reason);
  if (use == nullptr) {
    latte_twin_violation("a work used %zu bytes at %p, which %s", bytes, pointer, reason.c_str());
  } else if (use->device != running.stream->device()) {
    latte_twin_violation("a work on device %d used memory of device %d", running.stream->device(),
                         use->device);
    Memory::instance().release(use);
    use = nullptr;
  }
  if (use == nullptr) {
    latte_twin_fail(ACL_ERROR_RT_AICORE_EXCEPTION);
    return nullptr;
  }
  running.uses->push_back(use);
  return real_address(*use, pointer);
}

TWIN_EXPORT int latte_twin_launch(void* stream, const char* name, void (*run)(void* argument),
                                  void* argument, void (*release)(void* argument),
                                  const void* const* pointers, size_t pointer_count) {
  // Released with the last copy of the task's function, whether it ran or not.
  const std::shared_ptr<void> owned(argument, [release](void* held) {
    if (release != nullptr) release(held);
  });
  const Entry entry = enter(name, Needs::kContext, "launch");
  if (entry.code != 0) return entry.code;
  int code = 0;
  const auto target = stream_of(entry, stream, name, code);
  if (target == nullptr) return code;
  Task task;
  task.name = name;
  task.injected = entry.injected.code;
  for (size_t i = 0; i < pointer_count; ++i) {
    if (pointers[i] == nullptr) continue;
    std::string reason;
    Use use = Memory::instance().hold(pointers[i], 0, reason);
    if (use == nullptr || use->device != target->device()) {
      if (use != nullptr) reason = "is of another device";
      if (use != nullptr) Memory::instance().release(use);
      for (const Use& held : task.uses) Memory::instance().release(held);
      return misuse(ACL_ERROR_RT_PARAM_INVALID,
                    format("%s was given memory %p, which %s", name, pointers[i], reason.c_str()));
    }
    task.uses.push_back(std::move(use));
  }
  task.count_launch = [name = task.name] {
    count("launches");
    count("launch " + name);
  };
  task.count_kernels = [name = task.name] { count_kernel(name.c_str()); };
  task.run = [run, owned] {
    run(owned.get());
    return 0;
  };
  return target->push(std::move(task));
}
}
