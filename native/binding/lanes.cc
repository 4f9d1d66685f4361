#include "binding/lanes.h"

#include <algorithm>
#include <utility>

namespace latte::binding {

struct Lanes::HostWork {
  Lanes& lanes;
  std::shared_ptr<Task> task;
  napi_async_work work = nullptr;

  static void execute(napi_env, void* data) {
    const auto& task = static_cast<HostWork*>(data)->task;
    task->device.submit(task->run);
  }

  static void complete(napi_env env, napi_status status, void* data) {
    const std::unique_ptr<HostWork> self(static_cast<HostWork*>(data));
    const Napi::HandleScope scope(env);
    napi_delete_async_work(env, self->work);
    if (status == napi_cancelled) {
      self->task->run->error = Error(ErrorCode::kAborted, "the environment ends");
    }
    self->lanes.finish(self->task);
  }
};

Lanes::~Lanes() {
  // What calls back a job holds the job, which holds its task.
  for (auto& [device, lane] : lanes_) {
    for (const auto& task : lane) task->finished = nullptr;
  }
}

void Lanes::add(const std::shared_ptr<Task>& task) {
  Lane& lane = lanes_[&task->device];
  lane.push_back(task);
  try {
    advance(task->device);
  } catch (...) {
    withdraw(task);
    throw;
  }
}

bool Lanes::withdraw(const std::shared_ptr<Task>& task) {
  if (task->submitted) return false;
  Lane& lane = lanes_[&task->device];
  const auto place = std::find(lane.begin(), lane.end(), task);
  if (place == lane.end()) return false;
  lane.erase(place);
  task->finished = nullptr;
  return true;
}

void Lanes::advance(Device& device) {
  Lane& lane = lanes_[&device];
  // The CPU's tasks one at a time: they share its threads well that way, and leave libuv's other
  // threads to the rest of the program. A device with a thread of its own is kept supplied.
  const bool one_at_a_time = device.runs_on_caller();
  for (size_t i = 0; i < lane.size(); ++i) {
    const std::shared_ptr<Task> task = lane[i];
    if (!task->submitted) {
      if (task->waits_for > 0) return;
      submit(task);
    }
    if (one_at_a_time) return;
  }
}

void Lanes::submit(const std::shared_ptr<Task>& task) {
  if (task->device.runs_on_caller()) {
    submit_to_host(task);
    task->submitted = true;
    return;
  }
  if (mailbox_ == nullptr) {
    mailbox_ = std::make_shared<Mailbox>(env_, [this] { receive(); });
    // Added after the mailbox's own function, so it comes before that is taken away: Node runs
    // clean-up hooks from the last one to the first.
    napi_add_env_cleanup_hook(env_, close, this);
  }
  task->submitted = true;
  mailbox_->send(task->device, task->run);
}

void Lanes::submit_to_host(const std::shared_ptr<Task>& task) {
  auto host_work = std::make_unique<HostWork>(HostWork{*this, task});
  const napi_value name = Napi::String::New(env_, "latte:forward");
  if (napi_create_async_work(env_, nullptr, name, HostWork::execute, HostWork::complete,
                             host_work.get(), &host_work->work) != napi_ok ||
      napi_queue_async_work(env_, host_work->work) != napi_ok) {
    throw Napi::Error::New(env_);
  }
  (void)host_work.release();  // complete() deletes it
}

void Lanes::receive() {
  for (const std::shared_ptr<Run>& run : mailbox_->take()) {
    std::shared_ptr<Task> found;
    for (const auto& [device, lane] : lanes_) {
      const auto place = std::find_if(lane.begin(), lane.end(),
                                      [&](const auto& task) { return task->run == run; });
      if (place != lane.end()) found = *place;
    }
    if (found) finish(found);
  }
}

void Lanes::finish(const std::shared_ptr<Task>& task) {
  Lane& lane = lanes_[&task->device];
  lane.erase(std::find(lane.begin(), lane.end(), task));
  const auto finished = std::exchange(task->finished, nullptr);
  try {
    finished();
    advance(task->device);
  } catch (const Napi::Error&) {
    // JavaScript cannot run any more (a worker is being terminated): nobody waits for the rest.
    for (auto& [device, tasks] : lanes_) {
      std::erase_if(tasks, [](const auto& waiting) {
        if (!waiting->submitted) waiting->finished = nullptr;
        return !waiting->submitted;
      });
    }
  }
}

void Lanes::close(void* data) {
  auto& self = *static_cast<Lanes*>(data);
  for (auto& [device, lane] : self.lanes_) {
    for (const auto& task : lane) task->run->cancelled.store(true, std::memory_order_relaxed);
  }
  self.mailbox_->close();
}

}  // namespace latte::binding
