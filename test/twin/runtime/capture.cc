#include "runtime/capture.h"

#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

namespace latte::twin {

namespace {

// rt_error_codes.h (hicann/runtime 681ef76).
constexpr int kStreamCaptured = 107027;
constexpr int kStreamNotCaptured = 107029;
constexpr int kWrongThread = 107038;
constexpr int kCaptureInvalidated = 507903;

/// The stream whose capture the thread has begun.
thread_local std::weak_ptr<Stream> captured_here;

/// LATTE_TWIN_CAPTURE: the way in which all captures fail. Empty: none fails.
std::string capture_setting() {
  const char* value = std::getenv("LATTE_TWIN_CAPTURE");
  return value == nullptr ? "" : value;
}

}  // namespace

Graph::~Graph() {
  for (const Task& task : tasks) {
    for (const Use& use : task.uses) Memory::instance().end_capture(use);
  }
}

Handles<Graph>& graphs() {
  static auto* handles = new Handles<Graph>(static_cast<HandleKind>(34), "graph");
  return *handles;
}

size_t end_graphs_of(const void* context) {
  std::vector<void*> ended;
  graphs().each([&](void* handle, const Graph& graph) {
    if (graph.context->handle == context) ended.push_back(handle);
  });
  for (void* handle : ended) graphs().remove(handle, "aclrtDestroyContext");
  return ended.size();
}

/// "During a capture, synchronising or querying a stream, event, device or context is illegal in
/// every mode", and so are synchronous memory functions in the mode that we use (hicann/runtime
/// 681ef76, dev_guide/04-01_single_stream_capture.md). The twin is stricter: it allows only
/// launches.
int refuse_while_capturing(const char* function, const char* group) {
  const auto stream = captured_here.lock();
  if (stream == nullptr || !stream->is_captured()) return 0;
  if (group != nullptr && std::strcmp(group, "launch") == 0) return 0;
  for (const char* allowed : {"aclmdlRICaptureBegin", "aclmdlRICaptureEnd"}) {
    if (std::strcmp(function, allowed) == 0) return 0;
  }
  stream->invalidate_capture();
  return misuse(kStreamCaptured, format("%s while a stream is captured", function));
}

namespace {

/// Ends a capture, and releases its memory unless a graph takes it.
std::shared_ptr<Graph> end_capture(const std::shared_ptr<Stream>& stream) {
  captured_here.reset();
  const std::unique_ptr<Capture> capture = stream->end_capture();
  auto graph = std::make_shared<Graph>(stream->context(), std::move(capture->tasks));
  return capture->invalid ? nullptr : graph;
}

}  // namespace

}  // namespace latte::twin

using namespace latte::twin;

namespace latte::ascend {

extern "C" {

aclError aclmdlRICaptureBegin(aclrtStream stream, aclmdlRICaptureMode mode) {
  const Entry entry = enter("aclmdlRICaptureBegin", Needs::kContext);
  if (entry.code != 0) return entry.code;
  int code = 0;
  const auto target = stream_of(entry, stream, "aclmdlRICaptureBegin", code);
  if (target == nullptr) return code;
  // "Atlas training series: not supported" (api_ref/15_model_running_instance__management.md).
  if (is_first_generation() || capture_setting() == "0") {
    return failure(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "aclmdlRICaptureBegin: not supported");
  }
  if (mode != ACL_MODEL_RI_CAPTURE_MODE_THREAD_LOCAL) {
    return misuse(ACL_ERROR_RT_PARAM_INVALID, "aclmdlRICaptureBegin in another mode than ours");
  }
  if (!target->begin_capture()) {
    return misuse(kStreamCaptured, "aclmdlRICaptureBegin of a stream that is captured already");
  }
  captured_here = target;
  return ACL_SUCCESS;
}

aclError aclmdlRICaptureEnd(aclrtStream stream, aclmdlRI* graph) {
  const Entry entry = enter("aclmdlRICaptureEnd", Needs::kContext);
  const auto captured = captured_here.lock();
  // The capture ends even if this call fails (context_aclgraph.cc, StreamEndCapture).
  const bool here = captured != nullptr && captured == streams().peek(stream);
  const auto made = here ? end_capture(captured) : nullptr;
  if (entry.code != 0) return entry.code;
  int code = 0;
  const auto target = stream_of(entry, stream, "aclmdlRICaptureEnd", code);
  if (target == nullptr) return code;
  if (!here) {
    return target->is_captured()
               ? misuse(kWrongThread, "aclmdlRICaptureEnd on another thread than the begin")
               : misuse(kStreamNotCaptured, "aclmdlRICaptureEnd of a stream that is not captured");
  }
  if (made == nullptr) return failure(kCaptureInvalidated, "the capture was invalidated");
  *graph = graphs().add(made);
  return ACL_SUCCESS;
}

aclError aclmdlRIExecuteAsync(aclmdlRI handle, aclrtStream stream) {
  // A replay may not be captured itself (api_error.cc, ModelExecuteAsync).
  const Entry entry = enter("aclmdlRIExecuteAsync", Needs::kContext, "launch");
  if (entry.code != 0) return entry.code;
  const auto graph = graphs().find(handle, "aclmdlRIExecuteAsync");
  if (graph == nullptr) return ACL_ERROR_RT_PARAM_INVALID;
  int code = 0;
  const auto target = stream_of(entry, stream, "aclmdlRIExecuteAsync", code);
  if (target == nullptr) return code;
  if (target->is_captured()) {
    target->invalidate_capture();
    return misuse(kStreamCaptured, "aclmdlRIExecuteAsync on a stream that is captured");
  }
  if (graph->context->handle != entry.context->handle) {
    return misuse(ACL_ERROR_RT_PARAM_INVALID, "aclmdlRIExecuteAsync of another context's graph");
  }
  Task replay;
  replay.name = "aclmdlRIExecuteAsync";
  replay.injected = entry.injected.code;
  for (Task& task : graph->tasks) {
    if (replay.injected == 0) std::swap(replay.injected, task.injected);
    for (const Use& use : task.uses) {
      if (Memory::instance().hold_again(use)) {
        replay.uses.push_back(use);
        continue;
      }
      give_back(replay);
      return misuse(ACL_ERROR_RT_PARAM_INVALID,
                    format("a replay of %s after %zu bytes that it uses were freed",
                           task.name.c_str(), use->bytes));
    }
  }
  replay.count_launch = [] {
    count("launches");
    count("launch aclmdlRIExecuteAsync");
  };
  replay.count_kernels = [graph] {
    for (const Task& task : graph->tasks) {
      if (task.count_kernels) task.count_kernels();
    }
  };
  ++graph->queued;
  const std::shared_ptr<void> running(nullptr, [graph](void*) { --graph->queued; });
  const size_t left_out = capture_setting() == "differs" ? 1 : 0;
  replay.run = [graph, running, left_out] {
    for (size_t i = 0; i + left_out < graph->tasks.size(); ++i) {
      if (const int failed = graph->tasks[i].run()) return failed;
    }
    return 0;
  };
  return target->push(std::move(replay));
}

aclError aclmdlRIDestroy(aclmdlRI handle) {
  const Entry entry = enter("aclmdlRIDestroy", Needs::kContextToGiveBack);
  if (entry.code != 0) return entry.code;
  const auto graph = graphs().find(handle, "aclmdlRIDestroy");
  if (graph == nullptr) return ACL_ERROR_RT_PARAM_INVALID;
  // A graph of another context is not destroyed, but the call succeeds (context.cc, ModelDestroy).
  if (graph->context->handle != entry.context->handle) {
    return misuse(ACL_ERROR_RT_PARAM_INVALID, "aclmdlRIDestroy of another context's graph");
  }
  // aclmdlRIDestroy waits for up to ten seconds, and then fails (context.cc, ModelDestroy).
  if (graph->queued > 0) latte_twin_violation("aclmdlRIDestroy of a graph that is running");
  graphs().remove(handle, "aclmdlRIDestroy");
  return ACL_SUCCESS;
}
}

}  // namespace latte::ascend
