// Contexts and handles, and what is left of them at the end.
#include <thread>
#include <utility>

#include "rules/rules.h"

namespace latte::twin::rules {

namespace {

std::vector<Rule> call_rules() {
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

/// Calls aclFinalize while one thing is left, which `leave` makes.
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
             // A context of the other device, which is not reset.
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

}  // namespace

std::vector<Rule> context_rules() {
  std::vector<Rule> rules = call_rules();
  for (Rule& rule : leak_rules()) rules.push_back(std::move(rule));
  return rules;
}

}  // namespace latte::twin::rules
