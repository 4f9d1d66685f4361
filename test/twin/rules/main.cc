// twin_rules lists the rules. twin_rules <rule> breaks one; the exit status is 0 if the twin
// reported it.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

#include "rules/rules.h"

namespace latte::twin::rules {

Npu::Npu(int on) : index(on) {
  aclInit(nullptr);
  aclrtSetDevice(index);
  aclrtCreateContext(&context, index);
  aclrtCreateStream(&stream);
}

void Npu::close() {
  aclrtSynchronizeStream(stream);
  aclrtDestroyStream(stream);
  aclrtDestroyContext(context);
  aclrtResetDevice(index);
  aclFinalize();
}

void* Npu::device_memory(size_t bytes) {
  void* memory = nullptr;
  aclrtMalloc(&memory, bytes, ACL_MEM_MALLOC_HUGE_FIRST);
  return memory;
}

void* Npu::pinned_memory(size_t bytes) {
  void* memory = nullptr;
  aclrtMallocHost(&memory, bytes);
  return memory;
}

void Npu::dawdle() {
  const auto wait = [](void*) { std::this_thread::sleep_for(std::chrono::milliseconds(50)); };
  latte_twin_launch(stream, "dawdle", wait, nullptr, nullptr, nullptr, 0);
}

Operand::Operand(Npu& npu, std::vector<int64_t> dims, aclDataType dtype) {
  for (const int64_t dim : dims) elements *= dim;
  memory = npu.device_memory(static_cast<size_t>(elements) * 8);
  if (dtype == ACL_FLOAT) fill(npu, 1);
  tensor = aclCreateTensor(dims.data(), dims.size(), dtype, nullptr, 0, ACL_FORMAT_ND, dims.data(),
                           dims.size(), memory);
}

Operand::Operand(std::vector<int64_t> dims, std::vector<int64_t> strides, int64_t storage,
                 void* data, aclDataType dtype)
    : memory(data) {
  tensor = aclCreateTensor(dims.data(), dims.size(), dtype, strides.data(), 0, ACL_FORMAT_ND,
                           &storage, 1, data);
}

void Operand::fill(Npu& npu, float value) {
  const auto bytes = static_cast<size_t>(elements) * sizeof value;
  void* pinned = npu.pinned_memory(bytes);
  for (int64_t i = 0; i < elements; ++i) static_cast<float*>(pinned)[i] = value;
  aclrtMemcpyAsync(memory, bytes, pinned, bytes, ACL_MEMCPY_HOST_TO_DEVICE, npu.stream);
  npu.synchronise();
  aclrtFreeHost(pinned);
}

float Operand::first(Npu& npu) const {
  void* pinned = npu.pinned_memory(sizeof(float));
  aclrtMemcpyAsync(pinned, sizeof(float), memory, sizeof(float), ACL_MEMCPY_DEVICE_TO_HOST,
                   npu.stream);
  npu.synchronise();
  const float value = *static_cast<float*>(pinned);
  aclrtFreeHost(pinned);
  return value;
}

namespace {

int check(const Rule& rule) {
  const bool held = rule.break_it();
  std::vector<std::string> violations;
  latte_twin_take_violations(
      [](void* into, const char* words) {
        static_cast<std::vector<std::string>*>(into)->emplace_back(words);
      },
      &violations);
  if (*rule.violation == '\0') return held && violations.empty() ? 0 : 1;
  return violations.size() == 1 && violations[0].find(rule.violation) != std::string::npos ? 0 : 1;
}

}  // namespace

}  // namespace latte::twin::rules

int main(int count, char** arguments) {
  using namespace latte::twin::rules;
  for (const auto& rules : {context_rules(), memory_rules(), stream_rules(), capture_rules(),
                            executor_rules(), operation_rules()}) {
    for (const Rule& rule : rules) {
      if (count < 2) {
        std::printf("%s\n", rule.name);
      } else if (std::strcmp(rule.name, arguments[1]) == 0) {
        return check(rule);
      }
    }
  }
  return count < 2 ? 0 : 2;
}
