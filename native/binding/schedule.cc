#include "binding/schedule.h"

#include <utility>

#include "binding/forward.h"
#include "binding/js.h"

namespace latte::binding {

namespace {

// Constructed when the addon is loaded, because later there may be no memory for it.
const Error environment_ends(ErrorCode::kAborted, "the environment ends");

}  // namespace

void ScheduledWork::done() noexcept {
  // A copy, because the JavaScript thread may destroy this object as soon as it was added.
  if (const auto completions = completions_) completions->add(*this);
}

Completions::Completions(napi_env env, Schedule& schedule) : env_(env) {
  // The queue has no bound, so that a device's thread never waits for this one.
  constexpr size_t kUnbounded = 0, kOneThread = 1;
  LATTE_NAPI(env, napi_create_threadsafe_function, nullptr, nullptr,
             make(env, std::string("latte:device")), kUnbounded, kOneThread, nullptr, nullptr,
             &schedule, wake, &waker_);
  // If this fails, the event loop stays alive longer; nothing else happens.
  napi_unref_threadsafe_function(env, waker_);
}

void Completions::expect() noexcept {
  {
    const std::lock_guard lock(mutex_);
    ++under_way_;
  }
  if (untaken_++ == 0) napi_ref_threadsafe_function(env_, waker_);
}

void Completions::withdraw() noexcept {
  {
    const std::lock_guard lock(mutex_);
    --under_way_;
  }
  release(1);
}

void Completions::release(size_t works) noexcept {
  untaken_ -= works;
  if (works > 0 && untaken_ == 0) napi_unref_threadsafe_function(env_, waker_);
}

void Completions::add(ScheduledWork& work) noexcept {
  const std::lock_guard lock(mutex_);
  work.next_ = nullptr;
  (last_ == nullptr ? first_ : last_->next_) = &work;
  last_ = &work;
  --under_way_;
  // Under the lock, so that no call is made after close(), when Node destroys the function. A call
  // that fails is repeated once now, and again after the next work.
  for (int attempt = 0; attempt < 2 && !closed_ && !woken_; ++attempt) {
    woken_ = napi_call_threadsafe_function(waker_, nullptr, napi_tsfn_nonblocking) == napi_ok;
  }
  changed_.notify_all();
}

ScheduledWork* Completions::take() noexcept {
  ScheduledWork* taken = nullptr;
  {
    const std::lock_guard lock(mutex_);
    taken = std::exchange(first_, nullptr);
    last_ = nullptr;
    woken_ = false;
  }
  size_t works = 0;
  for (const ScheduledWork* work = taken; work != nullptr; work = work->next_) ++works;
  release(works);
  return taken;
}

void Completions::abandon() noexcept { napi_release_threadsafe_function(waker_, napi_tsfn_abort); }

void Completions::close() noexcept {
  std::unique_lock lock(mutex_);
  closed_ = true;
  changed_.wait(lock, [&] { return under_way_ == 0; });
}

void Completions::wake(napi_env env, napi_value, void* schedule, void*) noexcept {
  if (env == nullptr) return;  // the environment ends, and Node only empties its queue
  static_cast<Schedule*>(schedule)->receive();
}

/// A work of the CPU while it waits or runs in libuv's pool.
struct Schedule::HostWork {
  Schedule& schedule;
  std::shared_ptr<ScheduledWork> work;
  napi_async_work handle = nullptr;

  static void execute(napi_env, void* data) noexcept {
    const auto& work = static_cast<HostWork*>(data)->work;
    try {
      work->device.submit(work);
    } catch (...) {
      work->finish(current_error());
    }
  }

  static void complete(napi_env env, napi_status status, void* data) noexcept {
    const std::unique_ptr<HostWork> self(static_cast<HostWork*>(data));
    napi_delete_async_work(env, self->handle);
    if (status == napi_cancelled) self->work->error = environment_ends;
    self->schedule.end(*self->work);
  }
};

Schedule::Schedule(napi_env env) : env_(env) {
  LATTE_NAPI(env, napi_add_env_cleanup_hook, close, this);
}

Schedule::~Schedule() {
  napi_remove_env_cleanup_hook(env_, close, this);
  napi_remove_env_cleanup_hook(env_, close_completions, this);
}

void Schedule::add(const std::shared_ptr<ScheduledWork>& work,
                   const std::shared_ptr<Forward>& forward) {
  auto& waiting = lanes_[&work->device].waiting;
  waiting.push_back({work, forward});
  work->place_ = std::prev(waiting.end());
  work->state_ = ScheduledWork::State::kWaiting;
}

Place Schedule::remove(ScheduledWork& work) noexcept {
  Lane& lane = lanes_.find(&work.device)->second;
  auto& places = work.state_ == ScheduledWork::State::kWaiting ? lane.waiting : lane.submitted;
  Place place = std::move(*work.place_);
  places.erase(work.place_);
  work.state_ = ScheduledWork::State::kOutside;
  return place;
}

bool Schedule::withdraw(ScheduledWork& work) noexcept {
  if (work.state_ != ScheduledWork::State::kWaiting) return false;
  remove(work);
  return true;
}

void Schedule::advance(Device& device) noexcept {
  const auto found = lanes_.find(&device);
  if (found == lanes_.end()) return;
  auto& [waiting, submitted] = found->second;
  // Works of the CPU are submitted one at a time. Each may use all threads of our pool, and libuv's
  // other threads are left to the rest of the program. A device with a thread of its own gets all
  // works at once, so that it never idles.
  const bool one_at_a_time = device.runs_on_caller();
  while (!closing_ && !waiting.empty() && (!one_at_a_time || submitted.empty())) {
    const Place place = waiting.front();
    if (!place.work->ready) return;
    // The work is marked as submitted first, because on a lost device submit() finishes it before
    // it returns.
    submitted.splice(submitted.end(), waiting, waiting.begin());
    place.work->state_ = ScheduledWork::State::kSubmitted;
    try {
      submit(*place.work);
    } catch (...) {
      // The device does not have the work, so only this thread uses its `error`.
      place.work->error = caught_error(env_);
      remove(*place.work);
      place.forward->finished(*place.work);
    }
  }
}

void Schedule::submit(ScheduledWork& work) {
  if (work.device.runs_on_caller()) return submit_to_host(work);
  Completions& to = completions();
  work.completions_ = completions_;
  to.expect();
  try {
    work.device.submit(work.place_->work);
  } catch (...) {
    work.completions_ = nullptr;
    to.withdraw();
    throw;
  }
}

Completions& Schedule::completions() {
  if (completions_ == nullptr) {
    auto made = std::make_shared<Completions>(env_, *this);
    // Node runs the hooks from the last one to the first: this one runs before Node's own hook that
    // closes the thread-safe function.
    const napi_status added = napi_add_env_cleanup_hook(env_, close_completions, this);
    if (added != napi_ok) made->abandon();
    check(env_, added, "napi_add_env_cleanup_hook");
    completions_ = std::move(made);
  }
  return *completions_;
}

void Schedule::submit_to_host(ScheduledWork& work) {
  auto host_work = std::make_unique<HostWork>(HostWork{*this, work.place_->work});
  LATTE_NAPI(env_, napi_create_async_work, nullptr, make(env_, std::string("latte:forward")),
             HostWork::execute, HostWork::complete, host_work.get(), &host_work->handle);
  const napi_status queued = napi_queue_async_work(env_, host_work->handle);
  if (queued != napi_ok) napi_delete_async_work(env_, host_work->handle);
  check(env_, queued, "napi_queue_async_work");
  (void)host_work.release();  // complete() deletes it
}

void Schedule::end(ScheduledWork& work) noexcept {
  const Place place = remove(work);
  place.forward->finished(work);
  advance(work.device);
}

void Schedule::receive() noexcept {
  ScheduledWork* next = nullptr;
  for (ScheduledWork* work = completions_->take(); work != nullptr; work = next) {
    next = work->next_;
    end(*work);
  }
}

void Schedule::name(int64_t id, const std::shared_ptr<Forward>& forward) { named_[id] = forward; }

void Schedule::cancel(int64_t id) noexcept {
  const auto found = named_.find(id);
  if (found == named_.end()) return;
  if (const auto forward = found->second.lock()) forward->cancel();
}

void Schedule::close(void* data) noexcept {
  auto& self = *static_cast<Schedule*>(data);
  self.closing_ = true;
  for (auto& [device, lane] : self.lanes_) {
    for (const Place& place : lane.submitted) place.work->cancel();
  }
}

void Schedule::close_completions(void* data) noexcept {
  close(data);
  static_cast<Schedule*>(data)->completions_->close();
}

}  // namespace latte::binding
