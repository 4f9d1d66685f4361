// aclrtGetSocName to aclrtSetCurrentContext: devices, and the context of each thread.
#include "runtime/devices.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "runtime/capture.h"
#include "runtime/init.h"
#include "runtime/memory.h"
#include "runtime/stream.h"
#include "runtime/traffic.h"
#include "runtime/visible_devices.h"

namespace latte::twin {

namespace {

struct Device {
  int references = 0;  // calls of aclrtSetDevice minus those of aclrtResetDevice
  void* default_context = nullptr;
  bool lost = false;
};

struct Process {
  std::mutex mutex;
  std::vector<Device> devices{static_cast<size_t>(device_count())};
};

Process& process() {
  static auto* instance = new Process;
  return *instance;
}

thread_local void* thread_context = nullptr;

}  // namespace

std::string leftovers(int device) {
  std::string words;
  const auto add = [&](size_t number, const char* what) {
    if (number == 0) return;
    words += (words.empty() ? "" : ", ") + std::to_string(number) + " " + what;
  };
  size_t explicit_contexts = 0;
  contexts().each([&](void*, const Context& context) {
    if (!context.is_default && (device < 0 || context.device == device)) ++explicit_contexts;
  });
  add(explicit_contexts, "context(s)");
  add(live_streams(device), "stream(s)");
  add(live_events(device), "event(s)");
  add(Memory::instance().live_count(device), "allocation(s) of device memory");
  if (device < 0) add(Memory::instance().live_host_count(), "allocation(s) of pinned memory");
  return words;
}

Handles<Context>& contexts() {
  static auto* handles = new Handles<Context>(HandleKind::kContext, "context");
  return *handles;
}

std::shared_ptr<Context> current_context() {
  if (thread_context == nullptr) return nullptr;
  std::shared_ptr<Context> context = contexts().peek(thread_context);
  if (context == nullptr) thread_context = nullptr;
  return context;
}

bool is_lost(int device) {
  const std::lock_guard lock(process().mutex);
  return process().devices[static_cast<size_t>(device)].lost;
}

void set_lost(int device, bool lost) {
  if (device < 0 || device >= device_count()) return;
  {
    const std::lock_guard lock(process().mutex);
    process().devices[static_cast<size_t>(device)].lost = lost;
  }
  if (lost) kill_streams(device, ACL_ERROR_RT_LOST_HEARTBEAT);
}

namespace {
Leftovers leftovers_of_operations = nullptr;
}

void set_operation_leftovers(Leftovers leftovers) { leftovers_of_operations = leftovers; }

std::string operation_leftovers() {
  return leftovers_of_operations == nullptr ? "" : leftovers_of_operations();
}

Entry enter(const char* function, Needs needs, const char* group, int device) {
  count(std::string("call ") + function);
  Entry entry;
  const InitState state = init_state();
  if (state != InitState::kInitialised) {
    // "The initialization API must be called before other AscendCL APIs" and "after calling
    // aclFinalize, the services cannot continue to be used normally" (acl.h, 8.1.RC1).
    entry.code =
        misuse(ACL_ERROR_UNINITIALIZE,
               format("%s was called %s", function,
                      state == InitState::kFinalised ? "after aclFinalize" : "before aclInit"));
    return entry;
  }
  entry.code = refuse_while_capturing(function, group);
  if (entry.code != 0) return entry;
  if (needs != Needs::kInitialised) {
    entry.context = current_context();
    if (entry.context == nullptr) {
      entry.code = misuse(ACL_ERROR_RT_CONTEXT_NULL,
                          format("%s on a thread that has no current context", function));
      return entry;
    }
    if (device < 0) device = entry.context->device;
  }
  if (device >= device_count()) {
    entry.code = misuse(ACL_ERROR_RT_INVALID_DEVICEID,
                        format("%s was given device %d of %d", function, device, device_count()));
    return entry;
  }
  entry.injected = take_fault(function, group, device);
  if (device >= 0 && needs != Needs::kContextToGiveBack && is_lost(device)) {
    entry.code = failure(ACL_ERROR_RT_LOST_HEARTBEAT,
                         format("%s: the heartbeat of device %d is lost", function, device));
  } else if (entry.injected.code != 0 && !entry.injected.asynchronous) {
    entry.code = failure(entry.injected.code, format("%s: an injected fault", function));
  }
  return entry;
}

}  // namespace latte::twin

namespace latte::ascend {

using namespace latte::twin;

extern "C" {

const char* aclrtGetSocName() {
  if (enter("aclrtGetSocName", Needs::kInitialised).code != 0) return nullptr;
  return soc_name().c_str();
}

aclError aclrtGetVersion(int32_t* major, int32_t* minor, int32_t* patch) {
  const Entry entry = enter("aclrtGetVersion", Needs::kInitialised);
  if (entry.code != 0) return entry.code;
  // ACL_MAJOR_VERSION, ACL_MINOR_VERSION and ACL_PATCH_VERSION of acl.h of 8.1.RC1.
  *major = 1;
  *minor = 13;
  *patch = 0;
  return ACL_SUCCESS;
}

aclError aclrtGetDeviceCount(uint32_t* count) {
  const Entry entry = enter("aclrtGetDeviceCount", Needs::kInitialised);
  if (entry.code != 0) return entry.code;
  const VisibleDevices& visible = visible_devices();
  if (!visible.error.empty()) return failure(ACL_ERROR_RT_NO_DEVICE, visible.error);
  *count = static_cast<uint32_t>(device_count());
  return ACL_SUCCESS;
}

aclError aclGetDeviceCapability(uint32_t device, aclDeviceInfo info, int64_t* value) {
  const Entry entry =
      enter("aclGetDeviceCapability", Needs::kInitialised, nullptr, static_cast<int>(device));
  if (entry.code != 0) return entry.code;
  // LATTE_TWIN_CORES: cube cores. The 910B3 has 20, and two vector cores beside each.
  const int64_t cube = environment_number("LATTE_TWIN_CORES", is_first_generation() ? 32 : 20);
  switch (info) {
    case ACL_DEVICE_INFO_AI_CORE_NUM:
      *value = cube;
      return ACL_SUCCESS;
    case ACL_DEVICE_INFO_VECTOR_CORE_NUM:
      *value = is_first_generation() ? 0 : 2 * cube;
      return ACL_SUCCESS;
    case ACL_DEVICE_INFO_L2_SIZE:
      *value = l2_bytes();
      return ACL_SUCCESS;
  }
  return misuse(ACL_ERROR_RT_PARAM_INVALID, "aclGetDeviceCapability of an unknown kind");
}

aclError aclrtSetDevice(int32_t device) {
  const Entry entry = enter("aclrtSetDevice", Needs::kInitialised, nullptr, device);
  if (entry.code != 0) return entry.code;
  if (device < 0)
    return misuse(ACL_ERROR_RT_INVALID_DEVICEID, "aclrtSetDevice of a negative device");
  wait_for_opening(device);
  const std::lock_guard lock(process().mutex);
  Device& state = process().devices[static_cast<size_t>(device)];
  ++state.references;
  // "implicitly create the default context" (acl_rt.h, 8.1.RC1).
  if (state.default_context == nullptr) {
    auto context = std::make_shared<Context>(device, true);
    state.default_context = contexts().add(context);
    context->handle = state.default_context;
  }
  thread_context = state.default_context;
  return ACL_SUCCESS;
}

aclError aclrtResetDevice(int32_t device) {
  Entry entry = enter("aclrtResetDevice", Needs::kInitialised);
  if (entry.code != 0) return entry.code;
  if (device < 0 || device >= device_count()) {
    return misuse(ACL_ERROR_RT_INVALID_DEVICEID, "aclrtResetDevice of an unknown device");
  }
  void* ended = nullptr;
  {
    const std::lock_guard lock(process().mutex);
    Device& state = process().devices[static_cast<size_t>(device)];
    if (state.references == 0) {
      return misuse(ACL_ERROR_RT_INVALID_DEVICEID,
                    format("aclrtResetDevice of device %d, which was not set", device));
    }
    // Counted as the runtime counts it, so that other users in the process keep the device.
    if (--state.references == 0) std::swap(ended, state.default_context);
  }
  if (ended == nullptr) return ACL_SUCCESS;
  // "Before resetting, it is recommended to … release Event … release explicitly created Stream → …
  // Context" (acl_rt.h, 8.1.RC1). The twin makes it a rule.
  const std::string words = leftovers(device);
  if (!words.empty()) {
    latte_twin_violation("left over when device %d was reset: %s", device, words.c_str());
  }
  contexts().remove(ended, "aclrtResetDevice");
  return ACL_SUCCESS;
}

aclError aclrtGetMemInfo(aclrtMemAttr attribute, size_t* free, size_t* total) {
  const Entry entry = enter("aclrtGetMemInfo", Needs::kContext);
  if (entry.code != 0) return entry.code;
  if (attribute != ACL_HBM_MEM) {
    return misuse(ACL_ERROR_RT_PARAM_INVALID, "aclrtGetMemInfo of an unknown kind of memory");
  }
  const size_t live = Memory::instance().live_bytes(entry.context->device);
  *total = Memory::instance().limit();
  *free = live < *total ? *total - live : 0;
  return ACL_SUCCESS;
}

aclError aclrtCreateContext(aclrtContext* context, int32_t device) {
  const Entry entry = enter("aclrtCreateContext", Needs::kInitialised, nullptr, device);
  if (entry.code != 0) return entry.code;
  if (device < 0)
    return misuse(ACL_ERROR_RT_INVALID_DEVICEID, "aclrtCreateContext: no such device");
  auto created = std::make_shared<Context>(device);
  *context = contexts().add(created);
  created->handle = *context;
  // "create context and associates it with the calling thread" (acl_rt.h, 8.1.RC1).
  thread_context = *context;
  return ACL_SUCCESS;
}

aclError aclrtDestroyContext(aclrtContext context) {
  const Entry entry = enter("aclrtDestroyContext", Needs::kInitialised);
  if (entry.code != 0) return entry.code;
  const auto found = contexts().find(context, "aclrtDestroyContext");
  if (found == nullptr) return ACL_ERROR_RT_PARAM_INVALID;
  // "Can only destroy context created through aclrtCreateContext" (acl_rt.h, 8.1.RC1).
  if (found->is_default) {
    return misuse(ACL_ERROR_RT_PARAM_INVALID, "aclrtDestroyContext of a default context");
  }
  const size_t streams = live_streams_of(context);
  if (streams > 0) {
    latte_twin_violation("aclrtDestroyContext of a context with %zu stream(s)", streams);
  }
  // "aclrtDestroyEvent …, aclrtDestroyStream …, then aclrtDestroyContext" (acl_rt.h, 8.1.RC1; its
  // events keep pointing to it: event.hpp, Context_).
  const size_t events = live_events_of(context);
  if (events > 0)
    latte_twin_violation("aclrtDestroyContext of a context with %zu event(s)", events);
  // Graphs of a failed context end with it (context.cc, TearDownModelsOnContextTearDown). On a lost
  // device they are not waited for, because a replay might never end.
  const size_t graphs = end_graphs_of(context);
  if (graphs > 0 && found->status() == 0 && !is_lost(found->device)) {
    latte_twin_violation("aclrtDestroyContext of a context with %zu graph(s)", graphs);
  }
  contexts().remove(context, "aclrtDestroyContext");
  return ACL_SUCCESS;
}

aclError aclrtSetCurrentContext(aclrtContext context) {
  const Entry entry = enter("aclrtSetCurrentContext", Needs::kInitialised);
  if (entry.code != 0) return entry.code;
  if (contexts().find(context, "aclrtSetCurrentContext") == nullptr) {
    return ACL_ERROR_RT_CONTEXT_NULL;
  }
  thread_context = context;
  return ACL_SUCCESS;
}
}

}  // namespace latte::ascend

extern "C" {

TWIN_EXPORT void latte_twin_lose_device(int device) { latte::twin::set_lost(device, true); }

TWIN_EXPORT int latte_twin_clear_faults(void) {
  const int pending = latte::twin::clear_faults();
  latte::twin::end_hanging_tasks();
  for (int device = 0; device < latte::twin::device_count(); ++device) {
    latte::twin::set_lost(device, false);
  }
  return pending;
}

TWIN_EXPORT void latte_twin_support_stop_mode(int supported) {
  latte::twin::support_stop_mode(supported != 0);
}

TWIN_EXPORT void latte_twin_lose_memory(int device) {
  latte::twin::Memory::instance().overwrite(device);
}

TWIN_EXPORT void latte_twin_set_memory(size_t bytes) {
  latte::twin::Memory::instance().set_limit(bytes);
}

TWIN_EXPORT int latte_twin_device_count(void) { return latte::twin::device_count(); }
}
