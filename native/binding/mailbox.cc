#include "binding/mailbox.h"

#include <utility>

namespace latte::binding {

Mailbox::Mailbox(Napi::Env env, std::function<void()> received)
    : env_(env), received_(std::move(received)) {
  const napi_value name = Napi::String::New(env, "latte:device");
  // Never full, so that a device's thread never waits for this one.
  constexpr size_t kUnlimited = 0, kOneThread = 1;
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, kUnlimited, kOneThread, nullptr,
                                      nullptr, this, wake, &waker_) != napi_ok ||
      napi_unref_threadsafe_function(env, waker_) != napi_ok) {
    throw Napi::Error::New(env);
  }
}

void Mailbox::send(Device& device, const std::shared_ptr<Run>& run) {
  {
    const std::lock_guard lock(mutex_);
    finished_.reserve(finished_.size() + under_way_ + 1);  // deliver() must not throw
    ++under_way_;
  }
  if (sent_++ == 0) napi_ref_threadsafe_function(env_, waker_);
  run->mailbox = shared_from_this();
  device.submit(run);
}

void Run::done() noexcept {
  if (mailbox) mailbox->deliver(shared_from_this());
}

void Mailbox::deliver(std::shared_ptr<Run> run) {
  const std::lock_guard lock(mutex_);
  finished_.push_back(std::move(run));
  --under_way_;
  // Under the lock: close() comes before Node takes the function away.
  if (!closed_ && finished_.size() == 1) {
    napi_call_threadsafe_function(waker_, nullptr, napi_tsfn_nonblocking);
  }
  changed_.notify_all();
}

void Mailbox::wake(napi_env env, napi_value, void* context, void*) {
  if (env == nullptr) return;  // Node empties its queue while the environment ends
  const Napi::HandleScope scope(env);
  static_cast<Mailbox*>(context)->received_();
}

std::vector<std::shared_ptr<Run>> Mailbox::take() {
  std::vector<std::shared_ptr<Run>> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(finished_);
    finished_.reserve(under_way_);
  }
  sent_ -= taken.size();
  if (!taken.empty() && sent_ == 0) napi_unref_threadsafe_function(env_, waker_);
  return taken;
}

void Mailbox::close() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  changed_.wait(lock, [&] { return under_way_ == 0; });
}

}  // namespace latte::binding
