// Instructions that the toolkit's headers call beside those of cube_intrinsics.h. The headers find
// out a buffer's kind at run time, so they contain branches with instructions that our kernels
// never use. Executing one of them is a fault.
#include <cstdint>

#include "../core.h"

namespace {
[[noreturn]] void unreachable(const char* name) {
  throw latte::model::Fault(std::string(name) + ": not an instruction of our kernels");
}
}  // namespace

// Arithmetic of 16-bit types, for conversions that only vector cores make.
namespace float16 {
struct Fp16T {
  Fp16T& operator=(const Fp16T& other);
  uint16_t Int32ToFp16(const int32_t& value) const;
  uint16_t bits;
};
Fp16T& Fp16T::operator=(const Fp16T&) { unreachable("float16 on the host"); }
uint16_t Fp16T::Int32ToFp16(const int32_t&) const { unreachable("float16 on the host"); }
}  // namespace float16
namespace bfloat16 {
struct Bf16T {
  Bf16T& operator=(const Bf16T& other);
  uint16_t FloatToBf16(const float& value) const;
  uint16_t bits;
};
Bf16T& Bf16T::operator=(const Bf16T&) { unreachable("bfloat16 on the host"); }
uint16_t Bf16T::FloatToBf16(const float&) const { unreachable("bfloat16 on the host"); }
}  // namespace bfloat16

namespace AscendC {
bool g_isAtomic = false;

/// A lock of processes that add to the same memory.
class ProcessLock {
 public:
  int Write();
  int Unlock();
  static ProcessLock* CreateLock();
  static ProcessLock* processLock;
};
ProcessLock* ProcessLock::processLock = nullptr;
int ProcessLock::Write() { unreachable("ProcessLock"); }
int ProcessLock::Unlock() { unreachable("ProcessLock"); }
ProcessLock* ProcessLock::CreateLock() { unreachable("ProcessLock"); }

namespace check {
struct CubeInitConstValueApiParams;
bool CheckFuncInitConstValueImpl(CubeInitConstValueApiParams&, const char*) { return true; }
}  // namespace check
}  // namespace AscendC

void set_quant_pre(uint64_t) { unreachable("set_quant_pre"); }
void dcci(void*, uint64_t, uint64_t) { unreachable("dcci"); }
void create_ca_matrix(uint32_t*, int64_t, uint32_t) { unreachable("create_ca_matrix"); }
void create_cb_matrix(uint32_t*, int64_t, uint32_t) { unreachable("create_cb_matrix"); }
void copy_cbuf_to_fbuf(void*, void*, uint16_t, uint16_t, uint16_t, uint16_t) {
  unreachable("copy_cbuf_to_fbuf");
}

#define LATTE_UNREACHABLE_COPY(name) \
  void name(void*, void*, uint8_t, uint16_t, uint16_t, uint16_t, uint16_t) { unreachable(#name); }
LATTE_UNREACHABLE_COPY(copy_gm_to_ubuf)
LATTE_UNREACHABLE_COPY(copy_ubuf_to_gm)
LATTE_UNREACHABLE_COPY(copy_ubuf_to_ubuf)

#define LATTE_UNREACHABLE_LOAD(T)                                                                 \
  void load_cbuf_to_cb_transpose(T*, T*, uint16_t, uint8_t, uint16_t, uint16_t, bool, uint16_t) { \
    unreachable("load_cbuf_to_cb_transpose");                                                     \
  }
LATTE_UNREACHABLE_LOAD(uint32_t)
LATTE_UNREACHABLE_LOAD(float16::Fp16T)
LATTE_UNREACHABLE_LOAD(bfloat16::Bf16T)
