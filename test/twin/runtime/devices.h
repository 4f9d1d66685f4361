// Devices, contexts, and what every call checks first.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "runtime/handles.h"

namespace latte::twin {

/// A task that fails on a stream of a context in stop mode fails the whole context: "the tasks on
/// all streams of the context stop" (hicann/runtime 681ef76, dev_guide/03-02_stream_management.md),
/// and every call for it returns the failure until it is destroyed (context.cc, CheckStatus and
/// CheckTaskSend). What is of the context ends with it: its streams, the events that were created
/// in it (api_impl.cc, EventQueryStatus) and, as we read its modules, executors. Memory is not: the
/// driver keeps it by device (api_impl.cc, DevMalloc, DevFree, HostMalloc).
struct Context {
  explicit Context(int on, bool by_default = false) : device(on), is_default(by_default) {}
  const int device;
  const bool is_default;
  void* handle = nullptr;
  std::atomic<bool> stops{false};
  std::atomic<int> failure{0};

  /// The code that calls for this context return: 0, or the failure that has stopped it.
  int status() const { return stops ? failure.load() : 0; }
};

// The other simulated libraries use these.
#pragma GCC visibility push(default)

/// How many devices the process may use.
int device_count();
const std::string& soc_name();
/// Whether the chip is of the first generation (910A) or the 310P: no bfloat16, no float32
/// products.
bool is_first_generation();

bool is_lost(int device);
void set_lost(int device, bool lost);

Handles<Context>& contexts();
/// The calling thread's context; null if it has none or the context was destroyed.
std::shared_ptr<Context> current_context();
bool is_initialised();
/// A text that lists what was created and not destroyed; empty if nothing is left. `device` -1:
/// all.
std::string leftovers(int device);

/// The result of the checks that each call begins with: 0, or the code that the call must return.
struct Entry {
  int code = 0;
  std::shared_ptr<Context> context;
  Injected injected;  // if asynchronous: for the task that the call queues
};
/// What a call needs. On a lost device only calls that release something succeed.
enum class Needs { kInitialised, kContext, kContextToGiveBack };
/// Makes the checks. `group` as for take_fault(); `device` -1: that of the current context.
Entry enter(const char* function, Needs needs, const char* group = nullptr, int device = -1);

/// Returns a text that lists the objects of libnnopbase that were not destroyed. libnnopbase
/// registers this function when it is loaded.
using Leftovers = std::string (*)();
void set_operation_leftovers(Leftovers leftovers);
std::string operation_leftovers();

#pragma GCC visibility pop

}  // namespace latte::twin
