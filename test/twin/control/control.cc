// What test/support/twin.ts declares, as a Node-API module. Plain Node-API: the twin is built
// without the addon's dependencies.
#include <node_api.h>

#include <map>
#include <string>
#include <vector>

#include "control/foreign.h"
#include "nnop/tensors.h"
#include "runtime/capture.h"
#include "runtime/exports.h"
#include "runtime/memory.h"
#include "runtime/stream.h"
#include "twin_api.h"

namespace {

/// Ignores failed calls of Node-API: they leave an exception, or a test misses the property.
napi_value object(napi_env env) {
  napi_value value = nullptr;
  napi_create_object(env, &value);
  return value;
}

napi_value number(napi_env env, int64_t number) {
  napi_value value = nullptr;
  napi_create_int64(env, number, &value);
  return value;
}

napi_value object(napi_env env, const std::map<std::string, int64_t>& numbers) {
  napi_value result = object(env);
  for (const auto& [name, value] : numbers) {
    napi_set_named_property(env, result, name.c_str(), number(env, value));
  }
  return result;
}

napi_value strings(napi_env env, const std::vector<std::string>& texts) {
  napi_value result = nullptr;
  napi_create_array_with_length(env, texts.size(), &result);
  for (size_t i = 0; i < texts.size(); ++i) {
    napi_value text = nullptr;
    napi_create_string_utf8(env, texts[i].c_str(), texts[i].size(), &text);
    napi_set_element(env, result, static_cast<uint32_t>(i), text);
  }
  return result;
}

napi_value argument(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value value = nullptr;
  napi_get_cb_info(env, info, &count, &value, nullptr, nullptr);
  return value;
}

napi_value property(napi_env env, napi_value of, const char* name) {
  napi_value value = nullptr;
  napi_get_named_property(env, of, name, &value);
  return value;
}

int64_t integer(napi_env env, napi_value value, int64_t otherwise) {
  int64_t result = otherwise;
  napi_get_value_int64(env, value, &result);
  return result;
}

std::string text(napi_env env, napi_value value) {
  char bytes[256];
  size_t length = 0;
  napi_get_value_string_utf8(env, value, bytes, sizeof bytes, &length);
  return {bytes, length};
}

std::map<std::string, int64_t> all_counters() {
  std::map<std::string, int64_t> counters;
  latte_twin_each_counter(
      [](void* into, const char* name, int64_t value) {
        (*static_cast<std::map<std::string, int64_t>*>(into))[name] = value;
      },
      &counters);
  return counters;
}

/// The counters named '<prefix><rest>', by their rest.
std::map<std::string, int64_t> with_prefix(const std::map<std::string, int64_t>& counters,
                                           const std::string& prefix) {
  std::map<std::string, int64_t> found;
  for (const auto& [name, value] : counters) {
    if (name.rfind(prefix, 0) == 0) found[name.substr(prefix.size())] = value;
  }
  return found;
}

std::map<std::string, int64_t> live_handles() {
  using namespace latte::twin;
  std::map<std::string, int64_t> live;
  const auto add = [&](const auto& handles) {
    live[handles.name()] = static_cast<int64_t>(handles.size());
  };
  add(contexts());
  add(streams());
  add(events());
  add(tensors());
  add(scalars());
  add(arrays());
  add(executors());
  add(graphs());
  return live;
}

napi_value counters(napi_env env, napi_callback_info) {
  const std::map<std::string, int64_t> all = all_counters();
  const auto value = [&](const char* name) {
    const auto found = all.find(name);
    return found == all.end() ? 0 : found->second;
  };
  auto& memory = latte::twin::Memory::instance();
  napi_value result =
      object(env, {{"launches", value("launches")},
                   {"kernels", value("kernels")},
                   {"bytesMoved", value("bytes moved")},
                   {"bytesPastL2", value("bytes past L2")},
                   {"executorsMade", value("executors made")},
                   {"deviceAllocations", value("device allocations")},
                   {"hostAllocations", value("host allocations")},
                   {"copies", value("copies")},
                   {"copiedBytes", value("copied bytes")},
                   {"liveDeviceBytes", static_cast<int64_t>(memory.live_bytes(-1))},
                   {"liveHostBytes", static_cast<int64_t>(memory.live_host_bytes())}});
  napi_set_named_property(env, result, "launchesByName", object(env, with_prefix(all, "launch ")));
  napi_set_named_property(env, result, "kernelsByName", object(env, with_prefix(all, "kernel ")));
  napi_set_named_property(env, result, "calls", object(env, with_prefix(all, "call ")));
  napi_set_named_property(env, result, "liveHandles", object(env, live_handles()));
  return result;
}

napi_value reset(napi_env, napi_callback_info) {
  latte_twin_reset_counters();
  return nullptr;
}

napi_value inject(napi_env env, napi_callback_info info) {
  napi_value fault = argument(env, info);
  bool asynchronous = false, hangs = false;
  napi_get_value_bool(env, property(env, fault, "async"), &asynchronous);
  napi_get_value_bool(env, property(env, fault, "hangs"), &hangs);
  asynchronous = asynchronous || hangs;
  latte_twin_inject(
      text(env, property(env, fault, "call")).c_str(), integer(env, property(env, fault, "nth"), 1),
      hangs ? LATTE_TWIN_HANGS : static_cast<int>(integer(env, property(env, fault, "code"), 0)),
      static_cast<int>(integer(env, property(env, fault, "device"), -1)), asynchronous ? 1 : 0);
  return nullptr;
}

napi_value clear_faults(napi_env env, napi_callback_info) {
  return number(env, latte_twin_clear_faults());
}

napi_value lose_device(napi_env env, napi_callback_info info) {
  latte_twin_lose_device(static_cast<int>(integer(env, argument(env, info), 0)));
  return nullptr;
}

napi_value lose_memory(napi_env env, napi_callback_info info) {
  latte_twin_lose_memory(static_cast<int>(integer(env, argument(env, info), 0)));
  return nullptr;
}

napi_value support_stop_mode(napi_env env, napi_callback_info info) {
  bool supported = true;
  napi_get_value_bool(env, argument(env, info), &supported);
  latte_twin_support_stop_mode(supported ? 1 : 0);
  return nullptr;
}

napi_value initialise(napi_env, napi_callback_info) {
  latte::ascend::aclInit(nullptr);
  return nullptr;
}

napi_value set_memory(napi_env env, napi_callback_info info) {
  latte_twin_set_memory(static_cast<size_t>(integer(env, argument(env, info), 0)));
  return nullptr;
}

void append(void* into, const char* words) {
  static_cast<std::vector<std::string>*>(into)->emplace_back(words);
}

napi_value violations(napi_env env, napi_callback_info) {
  std::vector<std::string> found;
  latte_twin_each_violation(append, &found);
  return strings(env, found);
}

napi_value take_violations(napi_env env, napi_callback_info) {
  std::vector<std::string> taken;
  latte_twin_take_violations(append, &taken);
  return strings(env, taken);
}

std::map<uint64_t, latte::twin::Foreign> foreign;

napi_value bigint(napi_env env, const void* address) {
  napi_value value = nullptr;
  napi_create_bigint_uint64(env, reinterpret_cast<uint64_t>(address), &value);
  return value;
}

uint64_t bits(napi_env env, napi_value value) {
  uint64_t result = 0;
  bool lossless = false;
  napi_get_value_bigint_uint64(env, value, &result, &lossless);
  return result;
}

std::vector<napi_value> arguments(napi_env env, napi_callback_info info, size_t count) {
  std::vector<napi_value> values(count);
  napi_get_cb_info(env, info, &count, values.data(), nullptr, nullptr);
  return values;
}

napi_value fill_foreign(napi_env env, napi_callback_info info) {
  const auto given = arguments(env, info, 2);
  void* bytes = nullptr;
  size_t count = 0;
  napi_get_typedarray_info(env, given[1], nullptr, &count, &bytes, nullptr, nullptr);
  const auto made =
      latte::twin::fill_foreign(static_cast<int>(integer(env, given[0], 0)), bytes, count);
  foreign[reinterpret_cast<uint64_t>(made.memory)] = made;
  napi_value result = object(env);
  napi_set_named_property(env, result, "pointer", bigint(env, made.memory));
  napi_set_named_property(env, result, "event", bigint(env, made.event));
  return result;
}

napi_value read_foreign(napi_env env, napi_callback_info info) {
  const auto given = arguments(env, info, 3);
  const auto count = static_cast<size_t>(integer(env, given[2], 0));
  void* bytes = nullptr;
  napi_value buffer = nullptr, result = nullptr;
  napi_create_arraybuffer(env, count, &bytes, &buffer);
  if (!latte::twin::read_device(static_cast<int>(integer(env, given[0], 0)),
                                reinterpret_cast<const void*>(bits(env, given[1])), bytes, count)) {
    return nullptr;
  }
  napi_create_typedarray(env, napi_uint8_array, count, buffer, 0, &result);
  return result;
}

napi_value free_foreign(napi_env, napi_callback_info) {
  for (const auto& [pointer, made] : foreign) latte::twin::free_foreign(made);
  foreign.clear();
  latte::twin::close_foreign();
  return nullptr;
}

}  // namespace

NAPI_MODULE_INIT() {
  const napi_property_attributes fixed = napi_enumerable;
  const napi_property_descriptor functions[] = {
      {"counters", nullptr, counters, nullptr, nullptr, nullptr, fixed, nullptr},
      {"reset", nullptr, reset, nullptr, nullptr, nullptr, fixed, nullptr},
      {"inject", nullptr, inject, nullptr, nullptr, nullptr, fixed, nullptr},
      {"clearFaults", nullptr, clear_faults, nullptr, nullptr, nullptr, fixed, nullptr},
      {"loseDevice", nullptr, lose_device, nullptr, nullptr, nullptr, fixed, nullptr},
      {"loseMemory", nullptr, lose_memory, nullptr, nullptr, nullptr, fixed, nullptr},
      {"supportStopMode", nullptr, support_stop_mode, nullptr, nullptr, nullptr, fixed, nullptr},
      {"initialise", nullptr, initialise, nullptr, nullptr, nullptr, fixed, nullptr},
      {"setMemory", nullptr, set_memory, nullptr, nullptr, nullptr, fixed, nullptr},
      {"violations", nullptr, violations, nullptr, nullptr, nullptr, fixed, nullptr},
      {"fillForeign", nullptr, fill_foreign, nullptr, nullptr, nullptr, fixed, nullptr},
      {"readForeign", nullptr, read_foreign, nullptr, nullptr, nullptr, fixed, nullptr},
      {"freeForeign", nullptr, free_foreign, nullptr, nullptr, nullptr, fixed, nullptr},
      {"takeViolations", nullptr, take_violations, nullptr, nullptr, nullptr, fixed, nullptr},
  };
  napi_define_properties(env, exports, sizeof functions / sizeof functions[0], functions);
  return exports;
}
