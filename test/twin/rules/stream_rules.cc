// Rules of streams and events, and of what follows a failed task.
#include <cstring>
#include <utility>

#include "rules/rules.h"

namespace latte::twin::rules {

namespace {

aclrtEvent event() {
  aclrtEvent made = nullptr;
  aclrtCreateEventExWithFlag(&made, ACL_EVENT_SYNC);
  return made;
}

/// A context whose tasks fail with kFailure; its stream stops on failure, or goes on.
struct Failing : Npu {
  static constexpr int kFailure = 507015;  // ACL_ERROR_RT_AICORE_EXCEPTION

  explicit Failing(bool stops) {
    if (stops) aclrtSetStreamFailureMode(stream, ACL_STOP_ON_FAILURE);
  }
  void fail() {
    const auto fails = [](void*) { latte_twin_fail(kFailure); };
    latte_twin_launch(stream, "failing", fails, nullptr, nullptr, nullptr, 0);
  }
  int synchronised() { return aclrtSynchronizeStream(stream); }
  /// Launches a task that sets `ran`.
  int launch(bool& ran) {
    const auto sets = [](void* flag) { *static_cast<bool*>(flag) = true; };
    return latte_twin_launch(stream, "sets", sets, &ran, nullptr, nullptr, 0);
  }
  void destroy_failed() {
    aclrtDestroyStreamForce(stream);
    aclrtDestroyContext(context);
  }
  void renew() {
    aclrtCreateContext(&context, 0);
    aclrtCreateStream(&stream);
  }
};

/// Queries until the event is complete or a query fails; returns the query's code.
int poll(aclrtEvent of) {
  aclrtEventRecordedStatus status = ACL_EVENT_RECORDED_STATUS_NOT_READY;
  int code = 0;
  while (code == 0 && status != ACL_EVENT_RECORDED_STATUS_COMPLETE) {
    code = aclrtQueryEventStatus(of, &status);
  }
  return code;
}

std::vector<Rule> failure_rules() {
  return {
      {"by default a stream goes on after a failure, and reports it once", "",
       [] {
         Failing npu(false);
         bool ran = false;
         npu.fail();
         const bool launched = npu.launch(ran) == 0;
         const bool reported = npu.synchronised() == Failing::kFailure;
         return launched && ran && reported && npu.synchronised() == 0;
       }},
      {"by default an event behind a failure completes without an error", "",
       [] {
         Failing npu(false);
         const aclrtEvent behind = event();
         npu.fail();
         aclrtRecordEvent(behind, npu.stream);
         return poll(behind) == 0 && aclrtSynchronizeEvent(behind) == 0 &&
                npu.synchronised() == Failing::kFailure;
       }},
      {"a stream in stop mode runs nothing behind a failure", "",
       [] {
         Failing npu(true);
         bool ran = false;
         npu.fail();
         npu.launch(ran);
         return npu.synchronised() == Failing::kFailure && !ran &&
                npu.synchronised() == Failing::kFailure;
       }},
      {"a failure in stop mode fails the context's other streams and its events", "",
       [] {
         Failing npu(true);
         aclrtStream other = nullptr;
         aclrtCreateStream(&other);
         const aclrtEvent before = event();
         aclrtRecordEvent(before, npu.stream);
         npu.synchronised();
         npu.fail();
         npu.synchronised();
         return aclrtSynchronizeStream(other) == Failing::kFailure &&
                poll(before) == Failing::kFailure &&
                aclrtSynchronizeEvent(before) == Failing::kFailure;
       }},
      {"a failed context takes no new task, nor does a new stream in it", "",
       [] {
         Failing npu(true);
         bool ran = false;
         npu.fail();
         npu.synchronised();
         const bool refused = npu.launch(ran) == Failing::kFailure;
         aclrtCreateStream(&npu.stream);
         return refused && npu.launch(ran) == Failing::kFailure && !ran;
       }},
      {"device memory and pinned memory outlive a context", "",
       [] {
         Failing npu(true);
         const Copy copy(npu);
         std::memset(copy.host, 7, kBytes);
         to_device(npu, copy.device, kBytes, copy.host, kBytes);
         npu.fail();
         npu.synchronised();
         npu.destroy_failed();
         npu.renew();
         std::memset(copy.host, 0, kBytes);
         aclrtMemcpyAsync(copy.host, kBytes, copy.device, kBytes, ACL_MEMCPY_DEVICE_TO_HOST,
                          npu.stream);
         return npu.synchronised() == 0 && static_cast<char*>(copy.host)[kBytes - 1] == 7;
       }},
      {"a failure in one context leaves the others alone", "",
       [] {
         Failing npu(true);
         npu.fail();
         npu.synchronised();
         bool ran = false;
         npu.renew();
         return npu.launch(ran) == 0 && npu.synchronised() == 0 && ran;
       }},
      {"a stream of a failed context destroyed as if its tasks ended", "of a failed context",
       [] {
         Failing npu(true);
         npu.fail();
         npu.synchronised();
         return aclrtDestroyStream(npu.stream) == 0;
       }},
      {"a context destroyed before its event", "a context with 1 event",
       [] {
         Npu npu;
         event();
         aclrtDestroyStream(npu.stream);
         return aclrtDestroyContext(npu.context) == 0;
       }},
      {"the failure mode set twice", "a second time",
       [] {
         Failing npu(true);
         return aclrtSetStreamFailureMode(npu.stream, ACL_STOP_ON_FAILURE) ==
                ACL_ERROR_RT_FEATURE_NOT_SUPPORT;
       }},
      {"a wait with a limit ends before a task that hangs", "",
       [] {
         Failing npu(true);
         bool ran = false;
         latte_twin_inject("launch", 1, LATTE_TWIN_HANGS, -1, 1);
         npu.launch(ran);
         const bool late =
             aclrtSynchronizeStreamWithTimeout(npu.stream, 20) == ACL_ERROR_RT_STREAM_SYNC_TIMEOUT;
         latte_twin_clear_faults();
         return late && npu.synchronised() == 507014 && !ran;
       }},
  };
}

std::vector<Rule> order_rules() {
  return {
      {"a stream destroyed with work on it", "not been synchronised",
       [] {
         Npu npu;
         npu.dawdle();
         return aclrtDestroyStream(npu.stream) == 0;
       }},
      {"a stream used after its end", "already destroyed stream",
       [] {
         Npu npu;
         aclrtDestroyStream(npu.stream);
         return aclrtSynchronizeStream(npu.stream) != 0;
       }},
      {"an event destroyed while it is waited for", "that is waited for",
       [] {
         Npu npu;
         const aclrtEvent waited = event();
         npu.dawdle();
         aclrtRecordEvent(waited, npu.stream);
         aclrtStreamWaitEvent(npu.stream, waited);
         return aclrtDestroyEvent(waited) == 0;
       }},
      {"waiting for an event that was never recorded", "never recorded",
       [] {
         Npu npu;
         return aclrtStreamWaitEvent(npu.stream, event()) == 0;
       }},
      {"synchronising an event that was never recorded", "never recorded",
       [] {
         const Npu npu;
         return aclrtSynchronizeEvent(event()) != 0;
       }},
      {"an event of another device", "the event is of device 0",
       [] {
         const Npu npu;
         const aclrtEvent here = event();
         aclrtContext other = nullptr;
         aclrtCreateContext(&other, 1);
         aclrtStream there = nullptr;
         aclrtCreateStream(&there);
         return aclrtRecordEvent(here, there) != 0;
       }},
      {"a handle of another kind", "which is not a stream",
       [] {
         const Npu npu;
         return aclrtSynchronizeStream(npu.context) != 0;
       }},
  };
}

}  // namespace

std::vector<Rule> stream_rules() {
  std::vector<Rule> rules = failure_rules();
  for (Rule& rule : order_rules()) rules.push_back(std::move(rule));
  return rules;
}

}  // namespace latte::twin::rules
