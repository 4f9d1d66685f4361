// Programs that each break one rule of the twin. A rule passes if exactly its violation is
// reported.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runtime/exports.h"
#include "twin_api.h"

namespace latte::twin::rules {

using namespace latte::ascend;

/// A rule of CANN, and a function that breaks it: the twin must report the violation.
struct Rule {
  const char* name;
  /// A part of the text of the one violation that must be reported. Empty: none may be reported,
  /// and `break_it` returns whether the call was answered correctly.
  const char* violation;
  std::function<bool()> break_it;
};

std::vector<Rule> context_rules();
std::vector<Rule> memory_rules();
std::vector<Rule> stream_rules();
std::vector<Rule> capture_rules();
std::vector<Rule> executor_rules();
std::vector<Rule> operation_rules();

/// A device with a context and a stream; ACL is initialised.
struct Npu {
  explicit Npu(int index = 0);
  /// Destroys context and stream, and finalises ACL.
  void close();
  void* device_memory(size_t bytes);
  void* pinned_memory(size_t bytes);
  void synchronise() { aclrtSynchronizeStream(stream); }
  /// Keeps the stream busy for a while.
  void dawdle();

  int index;
  aclrtContext context = nullptr;
  aclrtStream stream = nullptr;
};

constexpr size_t kBytes = 4096;

/// Host and device memory, for a copy with one wrong argument.
struct Copy {
  explicit Copy(Npu& npu) : device(npu.device_memory(kBytes)), host(npu.pinned_memory(kBytes)) {}
  void* device;
  void* host;
};

inline void to_device(Npu& npu, void* to, size_t most, const void* from, size_t bytes) {
  aclrtMemcpyAsync(to, most, from, bytes, ACL_MEMCPY_HOST_TO_DEVICE, npu.stream);
}

/// The result of a rule whose calls return nothing to check.
inline bool done() { return true; }

/// A dense tensor in memory of its own; filled with ones if its dtype is FLOAT.
struct Operand {
  Operand(Npu& npu, std::vector<int64_t> dims, aclDataType dtype = ACL_FLOAT);
  Operand(std::vector<int64_t> dims, std::vector<int64_t> strides, int64_t storage, void* data,
          aclDataType dtype = ACL_FLOAT);
  void fill(Npu& npu, float value);
  float first(Npu& npu) const;

  void* memory = nullptr;
  aclTensor* tensor = nullptr;
  int64_t elements = 1;
};

}  // namespace latte::twin::rules
