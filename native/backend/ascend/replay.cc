// A part of a forward as one submission: captured after its second run, replayed from the third on.
// Only launches may come between aclmdlRICaptureBegin and aclmdlRICaptureEnd. So memory is
// allocated before, and the input and the result are copied outside of the captured graph.
#include "backend/ascend/acl/capture.h"
#include "backend/ascend/queue.h"

namespace latte::ascend {

namespace {

/// Sets a pointer to `value` for as long as this object lives, and to null afterwards.
template <class T>
class Lent {
 public:
  Lent(T*& pointer, T* value) : pointer_(pointer) { pointer_ = value; }
  ~Lent() { pointer_ = nullptr; }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;

 private:
  T*& pointer_;
};

}  // namespace

void AscendQueue::refuse_in_capture(const char* what) const {
  if (capturing_ != nullptr) fail(ErrorCode::kState, what, " cannot be captured");
}

/// Runs a part launch by launch. An input that is only on the host is uploaded to scratch memory.
void AscendQueue::run_launches(const ReplayedPart& part, std::vector<size_t>* scratch_sizes) {
  TensorView input{part.input, part.device};
  if (input.data == nullptr) {
    input.data = scratch(input.bytes());
    upload_later(input, part.host);
  }
  const Lent noted(scratch_sizes_, scratch_sizes);
  part.launch(input.data, part.output.data);
}

void AscendQueue::run_part(const ReplayedPart& part) {
  Graphs& graphs = resources_.graphs;
  // An executor is kept for one remainder of its addresses modulo 32, and capture() needs a kept
  // one. The blocks of a graph are aligned, so only launches on aligned addresses keep executors
  // that fit.
  const auto is_aligned = [](const void* address) {
    return reinterpret_cast<uintptr_t>(address) % 64 == 0;
  };
  if (!graphs.on() || !is_aligned(part.device) || !is_aligned(part.output.data)) {
    return run_launches(part, /*scratch_sizes=*/nullptr);
  }
  std::vector<std::weak_ptr<const void>> weights;
  for (const AscendLinearWeights* used : part.weights) weights.push_back(used->weak_from_this());
  Graphs::Entry& entry = graphs.visit(part.key, part.weights.front()->id, weights);
  if (entry.graph != nullptr) return replay(entry, part);
  if (!graphs.may_capture(entry)) return run_launches(part, /*scratch_sizes=*/nullptr);

  // This forward's result comes from launches once more, so a capture that fails does not harm it.
  std::vector<size_t> sizes;
  run_launches(part, &sizes);
  try {
    graphs.add(entry, capture(part, sizes));
    for (const AscendLinearWeights* used : part.weights) used->captured = true;
  } catch (...) {
    graphs.capture_failed(entry, current_error());
  }
}

std::shared_ptr<Graph> AscendQueue::capture(const ReplayedPart& part,
                                            const std::vector<size_t>& scratch) {
  auto graph = std::make_shared<Graph>();
  graph->input = resources_.memory.allocate(part.input.bytes());
  graph->output = resources_.memory.allocate(part.output.bytes());
  for (const size_t bytes : scratch) {
    graph->scratch.push_back(resources_.memory.allocate(bytes));
  }
  captured_blocks_ = 0;
  graph->handle = capture_launches(acl_, resources_.stream, [&] {
    const Lent capturing(capturing_, graph.get());
    part.launch(graph->input->data(), graph->output->data());
  });
  return graph;
}

void AscendQueue::replay(Graphs::Entry& entry, const ReplayedPart& part) {
  check_cancelled();
  const std::shared_ptr<Graph> graph = entry.graph;
  const TensorView input{part.input, graph->input->data()};
  if (part.host != nullptr) {
    copy_to_device(input, part.host);
  } else {
    copy_on_device({part.input, part.device}, input);
  }
  replayed_.push_back(graph);
  try {
    LATTE_ACL(acl_, aclmdlRIExecuteAsync, graph->handle.get(), resources_.stream);
  } catch (const Error& error) {
    resources_.graphs.replay_failed(entry, error);
    throw;
  }
  copy_on_device({part.output, graph->output->data()}, part.output);
}

}  // namespace latte::ascend
