#include "control/foreign.h"

#include <chrono>
#include <cstring>
#include <map>
#include <thread>

#include "runtime/exports.h"
#include "twin_api.h"

namespace latte::twin {

namespace {

using namespace latte::ascend;

struct Place {
  aclrtContext context = nullptr;
  aclrtStream stream = nullptr;
};
std::map<int, Place> places;

/// Makes the device's own context and stream of the other API current on the calling thread.
aclrtStream enter(int device) {
  Place& place = places[device];
  if (place.context == nullptr) {
    aclrtCreateContext(&place.context, device);
    aclrtCreateStream(&place.stream);
  }
  aclrtSetCurrentContext(place.context);
  return place.stream;
}

void dawdle(void*) { std::this_thread::sleep_for(std::chrono::milliseconds(100)); }

}  // namespace

Foreign fill_foreign(int device, const void* bytes, size_t count) {
  Foreign foreign;
  foreign.device = device;
  aclrtStream stream = enter(device);
  if (aclrtMalloc(&foreign.memory, count, ACL_MEM_MALLOC_HUGE_FIRST) != ACL_SUCCESS) return {};
  aclrtMallocHost(&foreign.pinned, count);
  std::memcpy(foreign.pinned, bytes, count);
  latte_twin_launch(stream, "foreign_work", dawdle, nullptr, nullptr, nullptr, 0);
  aclrtMemcpyAsync(foreign.memory, count, foreign.pinned, count, ACL_MEMCPY_HOST_TO_DEVICE, stream);
  aclrtCreateEventExWithFlag(&foreign.event, ACL_EVENT_SYNC);
  aclrtRecordEvent(foreign.event, stream);
  return foreign;
}

bool read_device(int device, const void* memory, void* bytes, size_t count) {
  aclrtStream stream = enter(device);
  void* pinned = nullptr;
  if (aclrtMallocHost(&pinned, count) != ACL_SUCCESS) return false;
  const bool copied = aclrtMemcpyAsync(pinned, count, memory, count, ACL_MEMCPY_DEVICE_TO_HOST,
                                       stream) == ACL_SUCCESS &&
                      aclrtSynchronizeStream(stream) == ACL_SUCCESS;
  if (copied) std::memcpy(bytes, pinned, count);
  aclrtFreeHost(pinned);
  return copied;
}

void free_foreign(const Foreign& foreign) {
  aclrtStream stream = enter(foreign.device);
  aclrtSynchronizeStream(stream);
  aclrtDestroyEvent(foreign.event);
  aclrtFreeHost(foreign.pinned);
  aclrtFree(foreign.memory);
}

void close_foreign() {
  for (auto& [device, place] : places) {
    aclrtSetCurrentContext(place.context);
    aclrtDestroyStream(place.stream);
    aclrtDestroyContext(place.context);
  }
  places.clear();
}

}  // namespace latte::twin
