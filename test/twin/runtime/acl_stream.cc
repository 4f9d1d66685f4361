// ACL's streams and events.
#include <atomic>

#include "runtime/stream.h"

using namespace latte::twin;

namespace latte::ascend {

namespace {

/// A synchronisation that is to fail: as on the device, what is on the stream fails with it, unless
/// it was just the waiting that took too long.
int fail_synchronisation(const Entry& entry, Stream* stream) {
  const int code = entry.injected.code;
  if (code != 0 && code == entry.code && stream != nullptr &&
      code != ACL_ERROR_RT_STREAM_SYNC_TIMEOUT) {
    stream->kill(code);
    stream->synchronise();
  }
  return entry.code;
}

int stream_failure(const char* function, int code) {
  return code == 0 ? 0 : failure(code, format("%s: the stream failed with %d", function, code));
}

/// Events serve their device: "Only streams of one device" is our reading of the runtime, which
/// keeps events by device.
std::shared_ptr<Event> event_of(const Entry& entry, aclrtEvent handle, const char* function,
                                int& code) {
  auto event = events().find(handle, function);
  if (event == nullptr) {
    code = ACL_ERROR_RT_PARAM_INVALID;
  } else if (event->device != entry.context->device) {
    code = misuse(ACL_ERROR_RT_PARAM_INVALID,
                  format("%s: the event is of device %d, the context of device %d", function,
                         event->device, entry.context->device));
    event = nullptr;
  }
  return event;
}

}  // namespace

extern "C" {

aclError aclrtCreateStream(aclrtStream* stream) {
  const Entry entry = enter("aclrtCreateStream", Needs::kContext);
  if (entry.code != 0) return entry.code;
  static std::atomic<uint64_t> made{0};
  *stream = streams().add(std::make_shared<Stream>(entry.context, ++made));
  return ACL_SUCCESS;
}

aclError aclrtDestroyStream(aclrtStream stream) {
  const Entry entry = enter("aclrtDestroyStream", Needs::kContextToGiveBack);
  if (entry.code != 0) return entry.code;
  // "When calling aclrtDestroyStream …, ensure that the stream is in the current context"
  // (application development guide 8.0.0, aclrtDestroyStream; 107003).
  int code = 0;
  std::shared_ptr<Stream> found = stream_of(entry, stream, "aclrtDestroyStream", code);
  if (found == nullptr) return code;
  // "you need to call the aclrtSynchronizeStream interface to ensure that the tasks in the Stream
  // have been completed" (acl_rt.h, 8.1.RC1). A dead stream has none that could still run.
  if (!found->is_idle() && found->error() == 0) {
    latte_twin_violation("aclrtDestroyStream of a stream that has not been synchronised");
  }
  streams().remove(stream, "aclrtDestroyStream");
  return ACL_SUCCESS;
}

aclError aclrtSynchronizeStream(aclrtStream stream) {
  const Entry entry = enter("aclrtSynchronizeStream", Needs::kContext, "synchronise");
  if (entry.code != 0) {
    return fail_synchronisation(entry, streams().peek(stream).get());
  }
  int code = 0;
  const auto found = stream_of(entry, stream, "aclrtSynchronizeStream", code);
  if (found == nullptr) return code;
  return stream_failure("aclrtSynchronizeStream", found->synchronise());
}

aclError aclrtCreateEventExWithFlag(aclrtEvent* event, uint32_t flag) {
  const Entry entry = enter("aclrtCreateEventExWithFlag", Needs::kContext);
  if (entry.code != 0) return entry.code;
  if (flag != ACL_EVENT_SYNC) {
    return misuse(ACL_ERROR_RT_PARAM_INVALID, "aclrtCreateEventExWithFlag with an unknown flag");
  }
  auto made = std::make_shared<Event>();
  made->device = entry.context->device;
  *event = events().add(std::move(made));
  return ACL_SUCCESS;
}

aclError aclrtDestroyEvent(aclrtEvent event) {
  const Entry entry = enter("aclrtDestroyEvent", Needs::kContextToGiveBack);
  if (entry.code != 0) return entry.code;
  int code = 0;
  const auto found = event_of(entry, event, "aclrtDestroyEvent", code);
  if (found == nullptr) return code;
  {
    // "the user must ensure that the tasks involved in the aclrtSynchronizeEvent interface or the
    // aclrtStreamWaitEvent interface are completed before" (acl_rt.h, 8.1.RC1).
    const std::lock_guard lock(found->mutex);
    if (found->waits > 0) latte_twin_violation("aclrtDestroyEvent of an event that is waited for");
  }
  events().remove(event, "aclrtDestroyEvent");
  return ACL_SUCCESS;
}

aclError aclrtRecordEvent(aclrtEvent event, aclrtStream stream) {
  const Entry entry = enter("aclrtRecordEvent", Needs::kContext);
  if (entry.code != 0) return entry.code;
  int code = 0;
  const auto found = event_of(entry, event, "aclrtRecordEvent", code);
  if (found == nullptr) return code;
  const auto target = stream_of(entry, stream, "aclrtRecordEvent", code);
  if (target == nullptr) return code;
  Task task;
  task.name = "aclrtRecordEvent";
  task.injected = entry.injected.code;
  task.completes = std::make_shared<Completion>();
  {
    const std::lock_guard lock(found->mutex);
    found->recorded = task.completes;
    found->stream = target;
  }
  target->push(std::move(task));
  return ACL_SUCCESS;
}

aclError aclrtStreamWaitEvent(aclrtStream stream, aclrtEvent event) {
  const Entry entry = enter("aclrtStreamWaitEvent", Needs::kContext);
  if (entry.code != 0) return entry.code;
  int code = 0;
  const auto found = event_of(entry, event, "aclrtStreamWaitEvent", code);
  if (found == nullptr) return code;
  const auto target = stream_of(entry, stream, "aclrtStreamWaitEvent", code);
  if (target == nullptr) return code;
  Task task;
  task.name = "aclrtStreamWaitEvent";
  task.injected = entry.injected.code;
  {
    const std::lock_guard lock(found->mutex);
    task.waits_for = found->recorded;
    ++found->waits;
  }
  // Without a record there is nothing to wait for, and the order that was meant is not kept.
  if (task.waits_for == nullptr) {
    latte_twin_violation("aclrtStreamWaitEvent for an event that was never recorded");
  }
  // Holds its event until it is through.
  const std::shared_ptr<void> waiting(nullptr, [found](void*) {
    const std::lock_guard lock(found->mutex);
    --found->waits;
  });
  task.run = [waiting] { return 0; };
  target->push(std::move(task));
  return ACL_SUCCESS;
}

aclError aclrtQueryEventStatus(aclrtEvent event, aclrtEventRecordedStatus* status) {
  const Entry entry = enter("aclrtQueryEventStatus", Needs::kContext);
  int code = 0;
  std::shared_ptr<Completion> recorded;
  std::shared_ptr<Stream> stream;
  if (const auto found = entry.context ? events().peek(event) : nullptr) {
    const std::lock_guard lock(found->mutex);
    recorded = found->recorded;
    stream = found->stream.lock();
  }
  if (entry.code != 0) return fail_synchronisation(entry, stream.get());
  const auto found = event_of(entry, event, "aclrtQueryEventStatus", code);
  if (found == nullptr) return code;
  // An event that was not recorded is not ready, either.
  *status = recorded != nullptr && recorded->is_done() ? ACL_EVENT_RECORDED_STATUS_COMPLETE
                                                       : ACL_EVENT_RECORDED_STATUS_NOT_READY;
  if (*status == ACL_EVENT_RECORDED_STATUS_COMPLETE) {
    return stream_failure("aclrtQueryEventStatus", recorded->code());
  }
  return ACL_SUCCESS;
}

aclError aclrtSynchronizeEvent(aclrtEvent event) {
  const Entry entry = enter("aclrtSynchronizeEvent", Needs::kContext, "synchronise");
  std::shared_ptr<Completion> recorded;
  std::shared_ptr<Stream> stream;
  if (const auto found = entry.context ? events().peek(event) : nullptr) {
    const std::lock_guard lock(found->mutex);
    recorded = found->recorded;
    stream = found->stream.lock();
  }
  if (entry.code != 0) return fail_synchronisation(entry, stream.get());
  int code = 0;
  if (event_of(entry, event, "aclrtSynchronizeEvent", code) == nullptr) return code;
  if (recorded == nullptr) {
    return misuse(ACL_ERROR_RT_PARAM_INVALID,
                  "aclrtSynchronizeEvent of an event that was never recorded");
  }
  return stream_failure("aclrtSynchronizeEvent", recorded->wait());
}
}

}  // namespace latte::ascend
