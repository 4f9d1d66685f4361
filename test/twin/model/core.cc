#include "core.h"

#include <algorithm>
#include <cstring>

namespace latte::model {
namespace {

constexpr size_t kBlock = 32;

const char* pipe_name(int pipe) {
  switch (pipe) {
    case kS:
      return "the scalar unit";
    case kV:
      return "the vector pipe";
    case kM:
      return "the cube pipe";
    case kMte1:
      return "MTE1";
    case kMte2:
      return "MTE2";
    case kMte3:
      return "MTE3";
    case kFix:
      return "FIXPIPE";
    default:
      return "no pipe";
  }
}

}  // namespace

// The sizes of a 910B's buffers, from the toolkit's platform files.
size_t capacity(Space space) {
  switch (space) {
    case Space::kUB:
      return 192 * 1024;
    case Space::kL1:
      return 512 * 1024;
    case Space::kL0A:
    case Space::kL0B:
      return 64 * 1024;
    case Space::kL0C:
      return 128 * 1024;
    case Space::kBT:
      return 1024;
  }
  return 0;
}

const char* space_name(Space space) {
  constexpr const char* names[] = {"UB", "L1", "L0A", "L0B", "L0C", "BT"};
  return names[static_cast<int>(space)];
}

Core::Core(CoreKind kind, Schedule schedule, const Resolve& resolve, const OnMove& on_move)
    : kind_(kind),
      resolve_(resolve),
      on_move_(on_move),
      order_{kFix, kMte3, kM, kV, kMte1, kMte2},
      raised_(kPipes * kPipes * kEvents),
      pending_sets_(kPipes * kPipes * kEvents) {
  if (schedule == Schedule::kProducersFirst) std::reverse(order_.begin(), order_.end());
}

void Core::attach(Space space, uint8_t* base) {
  bases_[index(space)] = base;
  const size_t bytes = capacity(space);
  // This pattern is NaN in float32, float16 and bfloat16.
  for (size_t i = 0; i < bytes; i += 2) {
    const uint16_t nan = 0x7fc1;
    std::memcpy(base + i, &nan, 2);
  }
  blocks_[index(space)].assign(bytes / kBlock, Block{});
}

uint8_t* Core::buffer(Space space) {
  if (bases_[index(space)] == nullptr) {
    own_[index(space)].resize(capacity(space) + kBlock);
    uint8_t* base = own_[index(space)].data();
    base += (kBlock - reinterpret_cast<uintptr_t>(base) % kBlock) % kBlock;
    attach(space, base);
  }
  return bases_[index(space)];
}

size_t Core::locate(Space space, const void* pointer, size_t alignment, const char* what) const {
  const uint8_t* base = bases_[index(space)];
  const auto* at = static_cast<const uint8_t*>(pointer);
  if (base == nullptr || at < base || at >= base + capacity(space)) {
    throw Fault(std::string(what) + ": an operand is outside of " + space_name(space));
  }
  const auto offset = static_cast<size_t>(at - base);
  if (offset % alignment != 0) {
    throw Fault(std::string(what) + ": an operand in " + space_name(space) + " at " +
                std::to_string(offset) + " is not aligned to " + std::to_string(alignment));
  }
  return offset;
}

uint8_t* Core::global(const void* pointer, size_t bytes, const char* what) const {
  uint8_t* at = resolve_(reinterpret_cast<uint64_t>(pointer), bytes);
  if (at == nullptr) {
    throw Fault(std::string(what) + ": " + std::to_string(bytes) +
                " bytes are outside of the memory that the kernel was given");
  }
  return at;
}

void Core::move(const void* address, size_t bytes, size_t rows, size_t stride, bool written) {
  (written ? traffic.written : traffic.read) += bytes * rows;
  if (written) traffic.writes += rows;
  if (on_move_) on_move_(address, bytes, rows, stride, written);
}

void Core::check_order(Pipe pipe, const char* name, const Access& access) const {
  const auto& blocks = blocks_[index(access.space)];
  if (access.begin >= access.end) return;
  if (access.end > capacity(access.space)) {
    throw Fault(std::string(name) + ": goes beyond the end of " + space_name(access.space) +
                " by " + std::to_string(access.end - capacity(access.space)) + " bytes");
  }
  const Clock& known = known_[pipe];
  const auto fault = [&](const char* does, int other, const char* what, size_t block) {
    throw Fault(std::string(name) + " " + does + " " + space_name(access.space) + " at " +
                std::to_string(block * kBlock) + ", which " + pipe_name(other) + " " + what +
                ": nothing orders them");
  };
  for (size_t b = access.begin / kBlock; b <= (access.end - 1) / kBlock; ++b) {
    const Block& block = blocks[b];
    if (block.write_pipe >= 0 && block.write_sequence > known[block.write_pipe] &&
        !(pipe == kS && block.write_pipe == kS)) {
      fault(access.writes ? "writes" : "reads", block.write_pipe, "may still be writing", b);
    }
    if (!access.writes) continue;
    for (int other = 1; other < kPipes; ++other) {
      if (block.reads[other] > known[other]) fault("writes", other, "may still be reading", b);
    }
  }
}

void Core::note(Pipe pipe, const Access& access) {
  if (access.begin >= access.end) return;
  auto& blocks = blocks_[index(access.space)];
  for (size_t b = access.begin / kBlock; b <= (access.end - 1) / kBlock; ++b) {
    if (access.writes) {
      blocks[b].write_pipe = pipe;
      blocks[b].write_sequence = issued_[pipe];
    } else {
      blocks[b].reads[pipe] = issued_[pipe];
    }
  }
}

void Core::issue(Pipe pipe, const char* name, std::initializer_list<Access> accesses,
                 std::function<void()> run) {
  issue(pipe, name, std::vector<Access>(accesses), std::move(run));
}

void Core::issue(Pipe pipe, const char* name, const std::vector<Access>& accesses,
                 std::function<void()> run) {
  const bool of_cube = pipe == kM || pipe == kMte1 || pipe == kFix;
  const bool of_vector = pipe == kV || pipe == kMte3;
  if ((kind_ == CoreKind::kVector && of_cube) || (kind_ == CoreKind::kCube && of_vector)) {
    throw Fault(std::string(name) + ": this kind of core has no such unit");
  }
  // Whatever the scalar unit has waited for is complete when it issues the next instruction; its
  // own writes may not have arrived.
  for (int other = 1; other < kPipes; ++other) {
    known_[pipe][other] = std::max(known_[pipe][other], known_[kS][other]);
  }
  for (const Access& access : accesses) check_order(pipe, name, access);
  ++issued_[pipe];
  for (const Access& access : accesses) note(pipe, access);
  queues_[pipe].push_back({Instruction::kRun, std::move(run), 0});
}

int Core::flag_index(Pipe from, Pipe to, int event) {
  if (event < 0 || event >= kEvents) {
    throw Fault("event id " + std::to_string(event) + " is not one of 0 to 7");
  }
  if (from < 0 || from >= kPipes || to < 0 || to >= kPipes || from == to || from == kAll ||
      to == kAll) {
    throw Fault("there is no flag between these two pipes");
  }
  return (from * kPipes + to) * kEvents + event;
}

void Core::set_flag(Pipe from, Pipe to, int event) {
  const int flag = flag_index(from, to, event);
  Clock clock = known_[from];
  clock[from] = issued_[from];
  pending_sets_[flag].push_back(clock);
  if (from == kS) {
    ++raised_[flag];
  } else {
    queues_[from].push_back({Instruction::kSet, nullptr, flag});
  }
}

void Core::wait_flag(Pipe from, Pipe to, int event) {
  const int flag = flag_index(from, to, event);
  if (pending_sets_[flag].empty()) {
    throw Fault(std::string(pipe_name(to)) + " waits for a flag of " + pipe_name(from) +
                " that nobody sets: a deadlock");
  }
  const Clock clock = pending_sets_[flag].front();
  pending_sets_[flag].pop_front();
  for (int i = 0; i < kPipes; ++i) known_[to][i] = std::max(known_[to][i], clock[i]);
  if (to == kS) {
    run_until([&] { return raised_[flag] > 0; }, "the scalar unit");
    --raised_[flag];
  } else {
    queues_[to].push_back({Instruction::kWait, nullptr, flag});
  }
}

void Core::barrier(Pipe pipe) {
  if (pipe != kAll) {
    known_[pipe][pipe] = issued_[pipe];
    return;
  }
  run_until([&] { return idle(); }, "a barrier of all pipes");
  for (Clock& clock : known_) clock = issued_;
}

void Core::scalar_access(Space space, size_t begin, size_t end, bool writes) {
  const Access access{space, begin, end, writes};
  check_order(kS, writes ? "SetValue" : "GetValue", access);
  if (!writes) return;  // the scalar unit has the value already, so nothing can overtake the read
  ++issued_[kS];
  known_[kS][kS] = issued_[kS];
  note(kS, access);
}

bool Core::step(Pipe pipe) {
  auto& queue = queues_[pipe];
  if (queue.empty()) return false;
  Instruction& instruction = queue.front();
  switch (instruction.kind) {
    case Instruction::kRun:
      instruction.run();
      break;
    case Instruction::kSet:
      ++raised_[instruction.flag];
      break;
    case Instruction::kWait:
      if (raised_[instruction.flag] == 0) return false;
      --raised_[instruction.flag];
      break;
  }
  queue.pop_front();
  return true;
}

bool Core::idle() const {
  return std::all_of(queues_.begin(), queues_.end(), [](const auto& q) { return q.empty(); });
}

void Core::run_until(const std::function<bool()>& done, const char* waiting) {
  while (!done()) {
    const bool moved =
        std::any_of(order_.begin(), order_.end(), [&](Pipe pipe) { return step(pipe); });
    if (!moved) throw Fault(std::string(waiting) + " waits for ever: a deadlock");
  }
}

void Core::finish() {
  run_until([&] { return idle(); }, "the end of the kernel");
  for (size_t flag = 0; flag < pending_sets_.size(); ++flag) {
    if (pending_sets_[flag].empty()) continue;
    const int from = static_cast<int>(flag) / kEvents / kPipes;
    const int to = static_cast<int>(flag) / kEvents % kPipes;
    throw Fault(std::string("a flag from ") + pipe_name(from) + " to " + pipe_name(to) +
                " is set and nobody waits for it");
  }
}

}  // namespace latte::model
