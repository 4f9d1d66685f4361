#include "launch_kernel.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "../../runtime/exports.h"
#include "../../twin_api.h"

namespace latte::twin {

namespace {

using model::CoreKind;
using model::Schedule;

// The codes that synchronising returns after a fault of a kernel:
// ACL_ERROR_RT_VECTOR_CORE_EXCEPTION and ACL_ERROR_RT_AICORE_EXCEPTION.
constexpr int kVectorCoreException = 507035;
constexpr int kCubeCoreException = 507015;

struct Work {
  const char* name;
  CoreKind kind;
  uint32_t blocks;
  Schedule schedule;
  std::function<void()> kernel;
  std::string fault;
  void* stream;
  int device;
  const void* output;
};

uint8_t* translate(uint64_t address, size_t bytes) {
  return static_cast<uint8_t*>(latte_twin_translate(reinterpret_cast<const void*>(address), bytes));
}

void run(void* argument) {
  const auto& work = *static_cast<Work*>(argument);
  const int exception = work.kind == CoreKind::kVector ? kVectorCoreException : kCubeCoreException;
  if (work.fault == "nothing") return;
  if (work.fault == "fail") return latte_twin_fail(exception);
  while (work.fault == "hang" && latte_twin_stream_is_gone(work.stream) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (work.fault == "hang") return;
  try {
    const model::OnMove count = [&](const void* address, size_t bytes, size_t rows, size_t stride,
                                    bool written) {
      latte_twin_moved(work.device, address, bytes, rows, stride, written);
    };
    model::run({work.kind, work.blocks, work.schedule, translate, count}, work.kernel);
  } catch (const model::Fault& fault) {
    latte_twin_violation("kernel %s: %s", work.name, fault.what());
    latte_twin_fail(exception);
  }
  if (work.fault == "differ") translate(reinterpret_cast<uint64_t>(work.output), 4)[3] ^= 0x40;
}

void release(void* argument) { delete static_cast<Work*>(argument); }

/// Returns the fault that LATTE_TWIN_KERNEL_FAULT asks for in this kernel; empty if none.
std::string fault_of(Way way, const std::string& name) {
  const char* value = std::getenv("LATTE_TWIN_KERNEL_FAULT");
  const std::string fault = value == nullptr ? "" : value;
  const size_t colon = fault.find(':');
  if (colon == std::string::npos || fault.substr(0, colon) != name) return "";
  const size_t second = fault.find(':', colon + 1);
  const std::string wanted = second == std::string::npos ? "" : fault.substr(second + 1);
  if (!wanted.empty() && wanted != (way == Way::kBinary ? "binary" : "functions")) return "";
  return fault.substr(colon + 1, second == std::string::npos ? second : second - colon - 1);
}

}  // namespace

namespace {

/// Does what the launch functions that CANN 8.1 generates do around each launch. They allocate
/// eight bytes for an overflow status, launch, and free them without waiting. They check the result
/// of neither call (extract_host_stub.py of its ascendc_kernel_cmake).
class OverflowStatus {
 public:
  explicit OverflowStatus(bool needed) {
    constexpr size_t kBytes = 8;
    if (needed) ascend::aclrtMalloc(&memory_, kBytes, ascend::ACL_MEM_MALLOC_HUGE_FIRST);
  }
  ~OverflowStatus() {
    if (memory_ != nullptr) ascend::aclrtFree(memory_);
  }
  OverflowStatus(const OverflowStatus&) = delete;
  OverflowStatus& operator=(const OverflowStatus&) = delete;

 private:
  void* memory_ = nullptr;
};

}  // namespace

uint32_t launch_kernel(Way way, const char* name, CoreKind kind, uint32_t blocks, void* stream,
                       const std::vector<const void*>& pointers, std::function<void()> kernel) {
  // If the chip is not the kernels' own, the functions that CANN 8.1 generates launch nothing and
  // return 0.
  if (way == Way::kFunctions && std::getenv("LATTE_TWIN_UNREGISTERED") != nullptr) return 0;
  const OverflowStatus overflow(way == Way::kFunctions);
  // The two orders alternate: a kernel must be right in both.
  static std::atomic<unsigned> turn{0};
  const Schedule schedule = turn++ % 2 == 0 ? Schedule::kConsumersFirst : Schedule::kProducersFirst;
  auto work = std::make_unique<Work>(Work{name, kind, blocks, schedule, std::move(kernel),
                                          fault_of(way, name), stream,
                                          latte_twin_stream_device(stream), pointers.back()});
  return static_cast<uint32_t>(latte_twin_launch(stream, name, run, work.release(), release,
                                                 pointers.data(), pointers.size()));
}

}  // namespace latte::twin
