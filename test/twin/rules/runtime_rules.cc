// Contexts, memory, copies, streams and events.
#include <cstring>
#include <thread>

#include "rules/rules.h"

namespace latte::twin::rules {

namespace {

constexpr size_t kBytes = 4096;

bool done() { return true; }

/// Memory on both sides, for a copy that is wrong in one point.
struct Copy {
  explicit Copy(Npu& npu) : device(npu.device_memory(kBytes)), host(npu.pinned_memory(kBytes)) {}
  void* device;
  void* host;
};

void to_device(Npu& npu, void* to, size_t most, const void* from, size_t bytes) {
  aclrtMemcpyAsync(to, most, from, bytes, ACL_MEMCPY_HOST_TO_DEVICE, npu.stream);
}

aclrtEvent event() {
  aclrtEvent made = nullptr;
  aclrtCreateEventExWithFlag(&made, ACL_EVENT_SYNC);
  return made;
}

char* at(void* memory, size_t offset) { return static_cast<char*>(memory) + offset; }

std::vector<Rule> context_rules() {
  return {
      {"a call before aclInit", "before aclInit", [] { return aclrtSetDevice(0) != 0; }},
      {"a call after aclFinalize", "after aclFinalize",
       [] {
         Npu().close();
         return aclrtSetDevice(0) != 0;
       }},
      {"a device that there is not", "device 7 of 2",
       [] {
         aclInit(nullptr);
         return aclrtSetDevice(7) != 0;
       }},
      {"a thread without a context", "no current context",
       [] {
         const Npu npu;
         std::thread([] {
           void* memory = nullptr;
           aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_HUGE_FIRST);
         }).join();
         return done();
       }},
      {"a stream of another context", "not of the thread's current context",
       [] {
         Npu npu;
         aclrtContext other = nullptr;
         aclrtCreateContext(&other, 0);
         npu.synchronise();
         return done();
       }},
      {"a stream destroyed in another context", "not of the thread's current context",
       [] {
         const Npu npu;
         aclrtContext other = nullptr;
         aclrtCreateContext(&other, 0);
         return aclrtDestroyStream(npu.stream) == ACL_ERROR_RT_STREAM_CONTEXT;
       }},
      {"a context destroyed before its stream", "a context with 1 stream",
       [] { return aclrtDestroyContext(Npu().context) == 0; }},
      {"a context destroyed twice", "already destroyed context",
       [] {
         Npu npu;
         aclrtDestroyStream(npu.stream);
         aclrtDestroyContext(npu.context);
         return aclrtDestroyContext(npu.context) != 0;
       }},
      {"a device reset with a stream on it",
       "left over when device 0 was reset: 1 context(s), 1 stream",
       [] {
         const Npu npu;
         return aclrtResetDevice(0) == 0;
       }},
      {"nothing wrong", "",
       [] {
         Npu().close();
         return true;
       }},
  };
}

/// aclFinalize with one thing left that `leave` makes.
Rule leak(const char* name, const char* violation, void (*leave)(Npu&)) {
  return {name, violation, [leave] {
            Npu npu;
            leave(npu);
            npu.close();
            return true;
          }};
}

std::vector<Rule> leak_rules() {
  return {
      leak("device memory left at the end", "allocation(s) of device memory",
           [](Npu& npu) {
             // Of the other device, which is not reset.
             aclrtContext other = nullptr;
             aclrtCreateContext(&other, 1);
             npu.device_memory(64);
             aclrtDestroyContext(other);
             aclrtSetCurrentContext(npu.context);
           }),
      leak("pinned memory left at the end", "1 allocation(s) of pinned memory",
           [](Npu& npu) { npu.pinned_memory(64); }),
      leak("a context left at the end", "1 context(s)",
           [](Npu& npu) {
             aclrtContext other = nullptr;
             aclrtCreateContext(&other, 1);
             aclrtSetCurrentContext(npu.context);
           }),
      leak("a scalar left at the end", "1 aclScalar(s)",
           [](Npu&) {
             float one = 1;
             aclCreateScalar(&one, ACL_FLOAT);
           }),
      leak("an array left at the end", "1 aclIntArray(s)",
           [](Npu&) {
             const int64_t one = 1;
             aclCreateIntArray(&one, 1);
           }),
      leak("a tensor left at the end", "1 aclTensor(s)",
           [](Npu&) { Operand({1}, {1}, 1, nullptr); }),
  };
}

std::vector<Rule> memory_rules() {
  return {
      {"memory freed twice", "which is freed already",
       [] {
         Npu npu;
         void* memory = npu.device_memory(kBytes);
         aclrtFree(memory);
         return aclrtFree(memory) != 0;
       }},
      {"memory freed from its middle", "not the beginning of its allocation",
       [] {
         Npu npu;
         return aclrtFree(at(npu.device_memory(kBytes), 64)) != 0;
       }},
      {"pinned memory freed twice", "freed already",
       [] {
         Npu npu;
         void* memory = npu.pinned_memory(kBytes);
         aclrtFreeHost(memory);
         return aclrtFreeHost(memory) != 0;
       }},
      {"memory freed under queued work", "that queued work still uses",
       [] {
         Npu npu;
         const Copy copy(npu);
         npu.dawdle();
         to_device(npu, copy.device, kBytes, copy.host, kBytes);
         return aclrtFree(copy.device) == 0;
       }},
      {"pinned memory freed under a queued copy", "which a queued copy still uses",
       [] {
         Npu npu;
         const Copy copy(npu);
         npu.dawdle();
         to_device(npu, copy.device, kBytes, copy.host, kBytes);
         return aclrtFreeHost(copy.host) == 0;
       }},
      {"pinned memory written beyond its end", "was written beyond its",
       [] {
         Npu npu;
         char* memory = static_cast<char*>(npu.pinned_memory(100));
         memory[101] = 1;
         return aclrtFreeHost(memory) == 0;
       }},
      {"a copy into freed memory", "that was freed",
       [] {
         Npu npu;
         const Copy copy(npu);
         aclrtFree(copy.device);
         to_device(npu, copy.device, kBytes, copy.host, kBytes);
         return done();
       }},
      {"a copy beyond the end", "ends 64 bytes beyond its allocation",
       [] {
         Npu npu;
         const Copy copy(npu);
         to_device(npu, at(copy.device, 64), kBytes, copy.host, kBytes);
         return done();
       }},
      {"a destination that is said to be larger than it is", "beyond its allocation",
       [] {
         Npu npu;
         const Copy copy(npu);
         to_device(npu, copy.device, 2 * kBytes, copy.host, 64);
         return done();
       }},
      {"more bytes than the destination may take", "into at most",
       [] {
         Npu npu;
         const Copy copy(npu);
         to_device(npu, copy.device, 64, copy.host, 128);
         return done();
       }},
      {"an address that is not aligned", "multiples of 64",
       [] {
         Npu npu;
         const Copy copy(npu);
         to_device(npu, at(copy.device, 32), 64, copy.host, 64);
         return done();
       }},
      {"a copy from ordinary memory", "not within pinned memory",
       [] {
         Npu npu;
         const Copy copy(npu);
         alignas(64) static char ordinary[64];
         to_device(npu, copy.device, 64, ordinary, 64);
         return done();
       }},
      {"a copy of memory of another device", "is of device 1",
       [] {
         Npu npu;
         const Copy copy(npu);
         aclrtContext other = nullptr;
         aclrtCreateContext(&other, 1);
         void* there = npu.device_memory(kBytes);
         aclrtSetCurrentContext(npu.context);
         to_device(npu, there, 64, copy.host, 64);
         return done();
       }},
      {"a source that is changed before the copy ran", "was changed",
       [] {
         Npu npu;
         const Copy copy(npu);
         npu.dawdle();
         to_device(npu, copy.device, kBytes, copy.host, kBytes);
         static_cast<char*>(copy.host)[5] = 5;
         npu.synchronise();
         return done();
       }},
      {"a result read before the stream is synchronised is NaN", "",
       [] {
         Npu npu;
         const Copy copy(npu);
         aclrtMemsetAsync(copy.device, kBytes, 0, kBytes, npu.stream);
         npu.dawdle();
         std::memset(copy.host, 0, kBytes);
         aclrtMemcpyAsync(copy.host, kBytes, copy.device, kBytes, ACL_MEMCPY_DEVICE_TO_HOST,
                          npu.stream);
         const bool early = static_cast<unsigned char*>(copy.host)[9] == 0xff;
         npu.synchronise();
         return early && static_cast<unsigned char*>(copy.host)[9] == 0;
       }},
      {"device memory is NaN until it is written", "",
       [] {
         Npu npu;
         const Copy copy(npu);
         aclrtMemcpyAsync(copy.host, kBytes, copy.device, kBytes, ACL_MEMCPY_DEVICE_TO_HOST,
                          npu.stream);
         npu.synchronise();
         return static_cast<unsigned char*>(copy.host)[kBytes - 1] == 0xff;
       }},
      {"work that reaches beyond its memory", "a work used 4160 bytes",
       [] {
         Npu npu;
         void* memory = npu.device_memory(kBytes);
         const auto reach = [](void* argument) { latte_twin_translate(argument, kBytes + 64); };
         latte_twin_launch(npu.stream, "reach", reach, memory, nullptr, &memory, 1);
         return aclrtSynchronizeStream(npu.stream) != 0;
       }},
  };
}

/// A context whose stream stops on failure, or goes on; tasks fail with kFailure.
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

/// Until the event is complete, or a query fails.
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

std::vector<Rule> stream_rules() {
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

std::vector<Rule> runtime_rules() {
  std::vector<Rule> rules;
  for (auto& some :
       {context_rules(), leak_rules(), memory_rules(), failure_rules(), stream_rules()}) {
    rules.insert(rules.end(), some.begin(), some.end());
  }
  return rules;
}

}  // namespace latte::twin::rules
