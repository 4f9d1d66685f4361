// Rules of memory and copies.
#include <cstring>

#include "rules/rules.h"

namespace latte::twin::rules {

namespace {

char* at(void* memory, size_t offset) { return static_cast<char*>(memory) + offset; }

}  // namespace

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

}  // namespace latte::twin::rules
