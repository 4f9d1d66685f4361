// Rules of streams that are captured, and of graphs.
#include "rules/rules.h"

namespace latte::twin::rules {

namespace {

constexpr size_t kBytes = 4096;

/// An aclnnMm with a repeatable executor, so that it can be captured.
struct CapturedProduct {
  CapturedProduct()
      : a(npu, {2, 3}), b(npu, {3, 4}), out(npu, {2, 4}), workspace(npu.device_memory(1 << 20)) {
    aclnnMmGetWorkspaceSize(a.tensor, b.tensor, out.tensor, 0, &bytes, &executor);
    aclSetAclOpExecutorRepeatable(executor);
    npu.synchronise();
  }
  aclError begin() {
    return aclmdlRICaptureBegin(npu.stream, ACL_MODEL_RI_CAPTURE_MODE_THREAD_LOCAL);
  }
  aclError end() { return aclmdlRICaptureEnd(npu.stream, &graph); }
  void run() { aclnnMm(workspace, bytes, executor, npu.stream); }
  aclError replay() { return aclmdlRIExecuteAsync(graph, npu.stream); }
  void capture() {
    begin();
    run();
    end();
  }
  /// Captures a product and calls `meanwhile` before the end. Returns whether the capture became
  /// invalid.
  bool spoiled_by(const std::function<void()>& call) {
    begin();
    run();
    call();
    return end() != 0;
  }

  Npu npu;
  Operand a, b, out;
  void* workspace;
  uint64_t bytes = 0;
  aclOpExecutor* executor = nullptr;
  aclmdlRI graph = nullptr;
};

std::vector<Rule> rules_while_capturing() {
  return {
      {"a synchronisation while a stream is captured", "aclrtSynchronizeStream while a stream is",
       [] {
         CapturedProduct product;
         return product.spoiled_by([&] { product.npu.synchronise(); });
       }},
      {"an allocation while a stream is captured", "aclrtMalloc while a stream is captured",
       [] {
         CapturedProduct product;
         return product.spoiled_by([&] {
           void* memory = nullptr;
           aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_HUGE_FIRST);
         });
       }},
      {"memory freed while a stream is captured", "aclrtFree while a stream is captured",
       [] {
         CapturedProduct product;
         void* memory = product.npu.device_memory(64);
         return product.spoiled_by([&] { aclrtFree(memory); });
       }},
      {"a copy while a stream is captured", "aclrtMemcpyAsync while a stream is captured",
       [] {
         CapturedProduct product;
         void* device = product.npu.device_memory(kBytes);
         void* host = product.npu.pinned_memory(kBytes);
         return product.spoiled_by([&] {
           aclrtMemcpyAsync(device, kBytes, host, kBytes, ACL_MEMCPY_HOST_TO_DEVICE,
                            product.npu.stream);
         });
       }},
      {"an event queried while a stream is captured", "aclrtQueryEventStatus while a stream is",
       [] {
         CapturedProduct product;
         aclrtEvent event = nullptr;
         aclrtCreateEventExWithFlag(&event, ACL_EVENT_SYNC);
         return product.spoiled_by([&] {
           aclrtEventRecordedStatus status;
           aclrtQueryEventStatus(event, &status);
         });
       }},
      {"an event recorded while a stream is captured", "aclrtRecordEvent while a stream is",
       [] {
         CapturedProduct product;
         aclrtEvent event = nullptr;
         aclrtCreateEventExWithFlag(&event, ACL_EVENT_SYNC);
         return product.spoiled_by([&] { aclrtRecordEvent(event, product.npu.stream); });
       }},
      {"an executor made while a stream is captured", "aclnnMmGetWorkspaceSize while a stream is",
       [] {
         CapturedProduct product;
         return product.spoiled_by([&] {
           aclOpExecutor* executor = nullptr;
           uint64_t bytes = 0;
           aclnnMmGetWorkspaceSize(product.a.tensor, product.b.tensor, product.out.tensor, 0,
                                   &bytes, &executor);
         });
       }},
      {"an executor that runs once, captured", "an executor that runs once",
       [] {
         CapturedProduct product;
         aclOpExecutor* once = nullptr;
         aclnnMmGetWorkspaceSize(product.a.tensor, product.b.tensor, product.out.tensor, 0,
                                 &product.bytes, &once);
         return product.spoiled_by(
             [&] { aclnnMm(product.workspace, product.bytes, once, product.npu.stream); });
       }},
      {"a replay while a stream is captured", "aclmdlRIExecuteAsync on a stream that is captured",
       [] {
         CapturedProduct product;
         product.capture();
         return product.spoiled_by([&] { product.replay(); });
       }},
      {"a capture begun twice", "of a stream that is captured already",
       [] {
         CapturedProduct product;
         product.begin();
         return product.begin() != 0;
       }},
      {"a capture ended without a beginning", "of a stream that is not captured",
       [] { return CapturedProduct().end() != 0; }},
  };
}

std::vector<Rule> rules_of_graphs() {
  return {
      {"memory freed that a graph uses", "that a captured graph uses",
       [] {
         CapturedProduct product;
         product.capture();
         return aclrtFree(product.b.memory) == 0;
       }},
      {"a replay after its memory was freed", "a replay of aclnnMm after",
       [] {
         CapturedProduct product;
         product.capture();
         aclrtFree(product.b.memory);
         latte_twin_take_violations([](void*, const char*) {}, nullptr);
         return product.replay() != 0;
       }},
      {"a replay of a graph that is destroyed", "already destroyed graph",
       [] {
         CapturedProduct product;
         product.capture();
         aclmdlRIDestroy(product.graph);
         return product.replay() != 0;
       }},
      {"a graph destroyed while it runs", "aclmdlRIDestroy of a graph that is running",
       [] {
         CapturedProduct product;
         product.capture();
         product.npu.dawdle();
         product.replay();
         return aclmdlRIDestroy(product.graph) == 0;
       }},
      {"a graph of another context", "of another context's graph",
       [] {
         CapturedProduct product;
         product.capture();
         aclrtContext other = nullptr;
         aclrtCreateContext(&other, 0);
         aclrtStream stream = nullptr;
         aclrtCreateStream(&stream);
         return aclmdlRIExecuteAsync(product.graph, stream) != 0;
       }},
      {"a context destroyed before its graph", "a context with 1 graph(s)",
       [] {
         CapturedProduct product;
         product.capture();
         aclrtDestroyStream(product.npu.stream);
         return aclrtDestroyContext(product.npu.context) == 0;
       }},
      {"910A: a stream is not captured", "",
       [] {
         const Npu npu;
         return aclmdlRICaptureBegin(npu.stream, ACL_MODEL_RI_CAPTURE_MODE_THREAD_LOCAL) ==
                ACL_ERROR_RT_FEATURE_NOT_SUPPORT;
       }},
      {"what is captured runs at each replay, and not before", "",
       [] {
         CapturedProduct product;
         product.out.fill(product.npu, 7);
         product.capture();
         product.npu.synchronise();
         bool right = product.out.first(product.npu) == 7;
         for (const float value : {1.0F, 2.0F}) {
           product.a.fill(product.npu, value);
           product.replay();
           product.npu.synchronise();
           right = right && product.out.first(product.npu) == 3 * value;
         }
         aclmdlRIDestroy(product.graph);
         return right;
       }},
      {"a replay counts as one launch, with all its kernels", "",
       [] {
         CapturedProduct product;
         product.begin();
         for (int i = 0; i < 3; ++i) product.run();
         product.end();
         latte_twin_reset_counters();
         product.replay();
         product.npu.synchronise();
         int64_t counted[] = {0, 0};
         latte_twin_each_counter(
             [](void* into, const char* name, int64_t value) {
               const std::string counter = name;
               if (counter == "launches") static_cast<int64_t*>(into)[0] = value;
               if (counter == "kernels") static_cast<int64_t*>(into)[1] = value;
             },
             counted);
         return counted[0] == 1 && counted[1] == 3;
       }},
  };
}

}  // namespace

std::vector<Rule> capture_rules() {
  std::vector<Rule> rules = rules_while_capturing();
  for (Rule& rule : rules_of_graphs()) rules.push_back(std::move(rule));
  return rules;
}

}  // namespace latte::twin::rules
