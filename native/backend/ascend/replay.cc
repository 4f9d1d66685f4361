// A part of a forward as one submission: captured after its second run, replayed from the third on.
// Between aclmdlRICaptureBegin and aclmdlRICaptureEnd there is nothing but launches: blocks are
// taken before, and the copies of input and result are not part of it.
#include "backend/ascend/acl/capture.h"
#include "backend/ascend/queue.h"

namespace latte::ascend {

namespace {

/// A pointer that has a value for as long as this lives, and is null afterwards.
template <class T>
class Lent {
 public:
  Lent(T*& place, T* value) : place_(place) { place_ = value; }
  ~Lent() { place_ = nullptr; }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;

 private:
  T*& place_;
};

}  // namespace

void AscendQueue::refuse_in_capture(const char* what) const {
  if (capturing_ != nullptr) fail(ErrorCode::kState, what, " cannot be captured");
}

/// Launch by launch, in scratch memory.
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
  // Executors are kept for addresses of a remainder; the blocks of a graph have none.
  const auto is_aligned = [](const void* address) {
    return reinterpret_cast<uintptr_t>(address) % 64 == 0;
  };
  if (!graphs.on() || !is_aligned(part.device) || !is_aligned(part.output.data)) {
    return run_launches(part, nullptr);
  }
  std::vector<std::weak_ptr<const void>> weights;
  for (const AscendLinearWeights* used : part.weights) weights.push_back(used->weak_from_this());
  Graphs::Entry& entry = graphs.visit(part.key, part.weights.front()->id, weights);
  if (entry.graph != nullptr) return replay(entry, part);
  if (!graphs.may_capture(entry)) return run_launches(part, nullptr);

  // The forward's own result comes from launches once more: a capture that fails costs it nothing.
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
