// One AI core as our kernels see it: buffers, pipes, flags and the order in which things happen.
//
// Instructions are recorded per pipe. They run when the scalar unit has to wait, and at the end, in
// one of two orders. `kConsumersFirst` runs the pipes that read results as early as the flags
// allow, and the pipes that write them as late; `kProducersFirst` does the opposite. In addition, a
// vector clock per pipe records which instructions are certainly complete when another one starts.
// If two instructions use the same block of a buffer without such an order, that is a fault.
//
// The model does not cover speed, cross-core synchronisation or the device compiler.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <vector>

namespace latte::model {

/// What a kernel did wrong.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Pipes, with the numbers that the instructions give them.
enum Pipe { kS = 0, kV = 1, kM = 2, kMte1 = 3, kMte2 = 4, kMte3 = 5, kAll = 6, kFix = 10 };
constexpr int kPipes = 11;
constexpr int kEvents = 8;
constexpr int kHf32Bit = 46;  // of the control register

enum class Space { kUB, kL1, kL0A, kL0B, kL0C, kBT };
constexpr int kSpaces = 6;
size_t capacity(Space space);
const char* space_name(Space space);

enum class Schedule { kConsumersFirst, kProducersFirst };
enum class CoreKind { kVector, kCube };

/// Returns the host address of [address, address + bytes) in device memory; null if it may not be
/// accessed.
using Resolve = std::function<uint8_t*(uint64_t address, size_t bytes)>;

/// A range of a buffer that an instruction touches.
struct Access {
  Space space;
  size_t begin, end;
  bool writes;
};

/// Called for each copy: it reads or writes `rows` runs of `bytes` bytes, `stride` bytes apart.
using OnMove = std::function<void(const void* address, size_t bytes, size_t rows, size_t stride,
                                  bool written)>;

/// What a core copies from and to device memory.
struct Traffic {
  uint64_t read = 0, written = 0;  // bytes
  uint64_t writes = 0;             // runs of bytes: rows of results
};

using Clock = std::array<uint64_t, kPipes>;

class Core {
 public:
  Core(CoreKind kind, Schedule schedule, const Resolve& resolve, const OnMove& on_move);

  CoreKind kind() const { return kind_; }

  /// Lets a buffer begin at `base`, and fills it with NaN.
  void attach(Space space, uint8_t* base);
  uint8_t* buffer(Space space);
  /// Returns the offset of an operand in its buffer; a fault if it is outside or not aligned.
  size_t locate(Space space, const void* pointer, size_t alignment, const char* what) const;
  uint8_t* at(Space space, size_t offset) { return bases_[index(space)] + offset; }
  /// Returns the host address of device memory; a fault if the memory is not allocated.
  uint8_t* global(const void* pointer, size_t bytes, const char* what) const;
  /// Counts a copy from or to device memory.
  void move(const void* address, size_t bytes, size_t rows, size_t stride, bool written);

  void issue(Pipe pipe, const char* name, std::initializer_list<Access> accesses,
             std::function<void()> run);
  void issue(Pipe pipe, const char* name, const std::vector<Access>& accesses,
             std::function<void()> run);
  void set_flag(Pipe from, Pipe to, int event);
  void wait_flag(Pipe from, Pipe to, int event);
  void barrier(Pipe pipe);
  /// Checks an access that the scalar unit itself makes to a buffer.
  void scalar_access(Space space, size_t begin, size_t end, bool writes);

  /// Called when the kernel has returned: runs all instructions to their end.
  void finish();

  // The vector unit's mask registers, read when an instruction is issued.
  bool mask_counts = false;
  uint64_t mask_low = ~uint64_t{0}, mask_high = ~uint64_t{0};
  // The source of a gather, apart from the instruction, which has 32 bits for it.
  uint64_t gather_base = 0;
  uint64_t gather_length = 0;  // in elements
  uint64_t pad_value = 0;
  uint64_t control = uint64_t{1} << kHf32Bit;  // as an earlier kernel may leave it
  Traffic traffic;
  uint64_t nd_parameters = 0;  // of a copy from L0C: matrices, and their strides

 private:
  struct Instruction {
    enum Kind { kRun, kSet, kWait } kind;
    std::function<void()> run;
    int flag;
  };
  struct Block {
    uint64_t write_sequence = 0;
    int write_pipe = -1;
    std::array<uint64_t, kPipes> reads{};
  };

  static size_t index(Space space) { return static_cast<size_t>(space); }
  static int flag_index(Pipe from, Pipe to, int event);
  void check_order(Pipe pipe, const char* name, const Access& access) const;
  void note(Pipe pipe, const Access& access);
  bool step(Pipe pipe);
  /// Runs instructions until `done`; a fault if none can run before.
  void run_until(const std::function<bool()>& done, const char* waiting);
  bool idle() const;

  CoreKind kind_;
  const Resolve& resolve_;
  const OnMove& on_move_;
  std::vector<Pipe> order_;
  std::array<uint8_t*, kSpaces> bases_{};
  std::array<std::vector<uint8_t>, kSpaces> own_;
  std::array<std::vector<Block>, kSpaces> blocks_;
  std::array<std::deque<Instruction>, kPipes> queues_;
  std::vector<int> raised_;                      // flags that are set now
  std::vector<std::deque<Clock>> pending_sets_;  // sets without a wait yet, in program order
  std::array<Clock, kPipes> known_{};            // what is complete when a pipe continues
  std::array<uint64_t, kPipes> issued_{};
};

/// The core that this thread runs; a fault outside of a kernel.
Core& core();

}  // namespace latte::model
