// Element types, tensors in local and device memory, and the number of the running core.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "../model/core.h"
#include "../model/intrinsics.h"
#include "../model/launch.h"

#define __aicore__
#define __global__
#define __gm__

using GM_ADDR = uint8_t*;

namespace float16 {
struct Fp16T {
  uint16_t bits;
};
}  // namespace float16
namespace bfloat16 {
struct Bf16T {
  uint16_t bits;
};
}  // namespace bfloat16
using half = float16::Fp16T;
using bfloat16_t = bfloat16::Bf16T;

// On a real device these macros choose the cores of a kernel. Here the launcher chooses them.
#define KERNEL_TYPE_AIV_ONLY 0
#define KERNEL_TYPE_AIC_ONLY 0
#define KERNEL_TASK_TYPE_DEFAULT(type) (void)(type)

namespace AscendC {

enum class TPosition { GM, A1, A2, B1, B2, C1, C2, CO1, VECIN, VECOUT, VECCALC };
using QuePosition = TPosition;

constexpr latte::model::Space space_of(TPosition position) {
  using latte::model::Space;
  switch (position) {
    case TPosition::A1:
    case TPosition::B1:
    case TPosition::C1:
      return Space::kL1;
    case TPosition::C2:
      return Space::kBT;
    case TPosition::A2:
      return Space::kL0A;
    case TPosition::B2:
      return Space::kL0B;
    case TPosition::CO1:
      return Space::kL0C;
    default:
      return Space::kUB;
  }
}

inline int64_t GetBlockIdx() { return latte::model::block_index(); }
inline int64_t GetBlockNum() { return latte::model::block_count(); }

struct Buffer;

template <class T>
class LocalTensor {
 public:
  LocalTensor() = default;
  LocalTensor(T* pointer, uint32_t size, latte::model::Space space, Buffer* buffer)
      : pointer_(pointer), size_(size), space_(space), buffer_(buffer) {}

  T* pointer() const { return pointer_; }
  uint32_t GetSize() const { return size_; }
  Buffer* buffer() const { return buffer_; }
  latte::model::Space space() const { return space_; }

  LocalTensor operator[](uint32_t offset) const {
    return {pointer_ + offset, size_ > offset ? size_ - offset : 0, space_, buffer_};
  }
  template <class U>
  LocalTensor<U> ReinterpretCast() const {
    return {reinterpret_cast<U*>(pointer_), static_cast<uint32_t>(size_ * sizeof(T) / sizeof(U)),
            space_, buffer_};
  }
  T GetValue(uint32_t index) const {
    touch(index, false);
    return pointer_[index];
  }
  void SetValue(uint32_t index, T value) const {
    touch(index, true);
    pointer_[index] = value;
  }

 private:
  void touch(uint32_t index, bool writes) const {
    auto& core = latte::model::core();
    const size_t at = core.locate(space_, pointer_ + index, sizeof(T), "the scalar unit");
    core.scalar_access(space_, at, at + sizeof(T), writes);
  }

  T* pointer_ = nullptr;
  uint32_t size_ = 0;
  latte::model::Space space_ = latte::model::Space::kUB;
  Buffer* buffer_ = nullptr;
};

template <class T>
class GlobalTensor {
 public:
  void SetGlobalBuffer(T* pointer) { pointer_ = pointer; }
  T* pointer() const { return pointer_; }
  GlobalTensor operator[](uint64_t offset) const {
    GlobalTensor tensor;
    tensor.pointer_ = pointer_ + offset;
    return tensor;
  }

 private:
  T* pointer_ = nullptr;
};

}  // namespace AscendC
