// Streams whose work is captured instead of run, and graphs that run it as a whole (aclmdlRI…).
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "runtime/stream.h"

namespace latte::twin {

#pragma GCC visibility push(default)

/// A model runtime instance. It belongs to the context in which it was captured (hicann/runtime
/// 681ef76, api_impl.cc, ModelExecuteAsync: RT_ERROR_MODEL_CONTEXT).
struct Graph {
  Graph(std::shared_ptr<Context> of, std::vector<Task> captured)
      : context(std::move(of)), tasks(std::move(captured)) {}
  ~Graph();
  const std::shared_ptr<Context> context;
  /// The tasks do not keep their memory allocated: freeing it before the graph ends breaks a rule.
  std::vector<Task> tasks;
  std::atomic<int> queued{0};  // replays that have not ended
};

Handles<Graph>& graphs();
/// Ends all graphs of a context. Returns their number.
size_t end_graphs_of(const void* context);

/// Returns 0, or the error code of a call that is not allowed on a thread that captures a stream.
int refuse_while_capturing(const char* function, const char* group);

#pragma GCC visibility pop

}  // namespace latte::twin
