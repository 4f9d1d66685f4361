// ACL's streams and events.
#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "runtime/stream.h"

using namespace latte::twin;

namespace latte::ascend {

namespace {

/// Injects a failure of a synchronisation or a query. As on a device, a task on the stream has
/// failed then, unless the code is a timeout of the wait itself.
int fail_synchronisation(const Entry& entry, Stream* stream) {
  const int code = entry.injected.code;
  if (code != 0 && code == entry.code && stream != nullptr &&
      code != ACL_ERROR_RT_STREAM_SYNC_TIMEOUT) {
    if (stream->context()->stops) stream->fail(code);
    stream->synchronise();
  }
  return entry.code;
}

int stream_failure(const char* function, int code) {
  return code == 0 ? 0 : failure(code, format("%s: the stream failed with %d", function, code));
}

/// What calls for an event of a failed context return (hicann/runtime 681ef76, api_impl.cc,
/// EventQueryStatus, EventSynchronize).
int context_failure(const Event& event, const char* function) {
  const int code = event.context->status();
  return code == 0 ? 0
                   : failure(code, format("%s: the context has failed with %d", function, code));
}

/// Pauses now and then, long enough for a task to fail meanwhile.
void pause_between() {
  thread_local std::minstd_rand random;
  if (random() % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 100));
}

/// Events serve their device: "Only streams of one device" is our reading of the runtime, which
/// keeps events by device.
std::shared_ptr<Event> event_of(const Entry& entry, aclrtEvent handle, const char* function,
                                int& code) {
  auto event = events().find(handle, function);
  if (event == nullptr) {
    code = ACL_ERROR_RT_PARAM_INVALID;
  } else if (event->context->device != entry.context->device) {
    code = misuse(ACL_ERROR_RT_PARAM_INVALID,
                  format("%s: the event is of device %d, the context of device %d", function,
                         event->context->device, entry.context->device));
    event = nullptr;
  } else if (contexts().peek(event->context->handle) == nullptr) {
    // An event points to its context (event.hpp, Context_).
    code = misuse(ACL_ERROR_RT_PARAM_INVALID,
                  format("%s: the context that the event was created in is destroyed", function));
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
  // (application development guide 8.0.0, aclrtDestroyStream; else 107003).
  int code = 0;
  std::shared_ptr<Stream> found = stream_of(entry, stream, "aclrtDestroyStream", code);
  if (found == nullptr) return code;
  // "you need to call the aclrtSynchronizeStream interface to ensure that the tasks in the Stream
  // have been completed" (acl_rt.h, 8.1.RC1).
  // have been completed" (acl_rt.h, 8.1.RC1).
  if (found->context()->status() != 0) {
    // "waits until the tasks have ended" (hicann/runtime 681ef76, dev_guide/03-02): those of a
    // failed context do not. aclrtDestroyStreamForce does not wait
    // (api_ref/06_stream_management.md).
    latte_twin_violation("aclrtDestroyStream of a stream of a failed context");
  } else if (!found->is_idle() && found->stopped() == 0) {
    latte_twin_violation("aclrtDestroyStream of a stream that has not been synchronised");
  }
  streams().remove(stream, "aclrtDestroyStream");
  return ACL_SUCCESS;
}

aclError aclrtDestroyStreamForce(aclrtStream stream) {
  const Entry entry = enter("aclrtDestroyStreamForce", Needs::kContextToGiveBack);
  if (entry.code != 0) return entry.code;
  int code = 0;
  const auto found = stream_of(entry, stream, "aclrtDestroyStreamForce", code);
  if (found == nullptr) return code;
  streams().remove(stream, "aclrtDestroyStreamForce");
  return ACL_SUCCESS;
}

aclError aclrtSetStreamFailureMode(aclrtStream stream, uint64_t mode) {
  const Entry entry = enter("aclrtSetStreamFailureMode", Needs::kContext);
  if (entry.code != 0) return entry.code;
  int code = 0;
  const auto found = stream_of(entry, stream, "aclrtSetStreamFailureMode", code);
  if (found == nullptr) return code;
  // hicann/runtime 681ef76, api_impl.cc, StreamSetMode: the task scheduler's version decides.
  if (!supports_stop_mode()) {
    return failure(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "aclrtSetStreamFailureMode: not supported");
  }
  // "May be called only once for a stream"; back to continuing is not supported (there, and
  // api_ref/06_stream_management.md).
  if (mode != ACL_STOP_ON_FAILURE || found->context()->stops) {
    return misuse(ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
                  "aclrtSetStreamFailureMode of another mode, or a second time");
  }
  // "The other streams of the context stop on failure, too" (stream.cc, SetFailMode).
  found->context()->stops = true;
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

aclError aclrtSynchronizeStreamWithTimeout(aclrtStream stream, int32_t milliseconds) {
  const Entry entry = enter("aclrtSynchronizeStreamWithTimeout", Needs::kContext, "synchronise");
  if (entry.code != 0) return fail_synchronisation(entry, streams().peek(stream).get());
  int code = 0;
  const auto found = stream_of(entry, stream, "aclrtSynchronizeStreamWithTimeout", code);
  if (found == nullptr) return code;
  return stream_failure("aclrtSynchronizeStreamWithTimeout", found->synchronise(milliseconds));
}

aclError aclrtCreateEventExWithFlag(aclrtEvent* event, uint32_t flag) {
  const Entry entry = enter("aclrtCreateEventExWithFlag", Needs::kContext);
  if (entry.code != 0) return entry.code;
  if (flag != ACL_EVENT_SYNC) {
    return misuse(ACL_ERROR_RT_PARAM_INVALID, "aclrtCreateEventExWithFlag with an unknown flag");
  }
  *event = events().add(std::make_shared<Event>(entry.context));
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
  const auto recorded = task.completes;
  code = target->push(std::move(task));
  if (code != 0) return code;
  const std::lock_guard lock(found->mutex);
  found->recorded = recorded;
  found->stream = target;
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
  // Without a record the wait ends at once, and the intended order is not kept.
  if (task.waits_for == nullptr) {
    latte_twin_violation("aclrtStreamWaitEvent for an event that was never recorded");
  }
  // Keeps the event until the wait has ended.
  const std::shared_ptr<void> waiting(nullptr, [found](void*) {
    const std::lock_guard lock(found->mutex);
    --found->waits;
  });
  task.run = [waiting] { return 0; };
  return target->push(std::move(task));
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
  if (const int failed = context_failure(*found, "aclrtQueryEventStatus")) return failed;
  // The context is checked first, then the event (hicann/runtime 681ef76, api_impl.cc,
  // EventQueryStatus): a failure between the two completes the event, and is not returned.
  pause_between();
  // An event that was not recorded is not ready.
  *status = recorded != nullptr && recorded->is_done() ? ACL_EVENT_RECORDED_STATUS_COMPLETE
                                                       : ACL_EVENT_RECORDED_STATUS_NOT_READY;
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
  const auto found = event_of(entry, event, "aclrtSynchronizeEvent", code);
  if (found == nullptr) return code;
  if (const int failed = context_failure(*found, "aclrtSynchronizeEvent")) return failed;
  if (recorded == nullptr) {
    return misuse(ACL_ERROR_RT_PARAM_INVALID,
                  "aclrtSynchronizeEvent of an event that was never recorded");
  }
  // Does not report a failure of a stream that goes on (event.cc, NotifierSync).
  recorded->wait();
  return context_failure(*found, "aclrtSynchronizeEvent");
}
}

}  // namespace latte::ascend
