// What the toolkit's own headers call in CPU-debug mode beside instructions: bookkeeping hooks and
// argument checks of a library that the toolkit's open part does not have. Ours attach the model's
// buffers and count the tensors that a kernel takes and gives back.
#include <cstdint>
#include <string>

#include "../core.h"
#include "../intrinsics.h"
#include "support.h"

// The headers read the core's number and kind here.
int64_t block_idx = 0;
int64_t block_num = 1;
int32_t sub_block_idx = 0;
int32_t g_coreType = 0;
int32_t g_taskRation = 1;

namespace AscendC {
extern const int MIX_TYPE;
extern const int AIC_TYPE;
extern const int AIV_TYPE;
const int MIX_TYPE = 0;
const int AIC_TYPE = 1;
const int AIV_TYPE = 2;

namespace check {
// Their own checks are part of the closed library; the model checks every instruction.
#define LATTE_ACCEPT(function, Parameters) \
  struct Parameters;                       \
  bool function(Parameters&, const char*) { return true; }
LATTE_ACCEPT(CheckFunDupImpl, VecDupApiParams)
LATTE_ACCEPT(CheckFunVecBinaryScalarImpl, VecBinaryScalarApiParams)
LATTE_ACCEPT(CheckFuncDataCopyPadImpl, DataCopyPadApiParams)
LATTE_ACCEPT(CheckFuncDataCopyImpl, DataCopyApiParams)
LATTE_ACCEPT(CheckFuncGatherImpl, VecGatherApiParams)
LATTE_ACCEPT(CheckFuncVecBinaryImpl, VecBinaryApiParams)
LATTE_ACCEPT(CheckFuncMmadImpl, MmadApiParams)
LATTE_ACCEPT(CheckFuncLoadData2dImpl, LoadData2dApiParams)
#undef LATTE_ACCEPT
bool CheckFuncGatherImpl(VecGatherApiParams&, uint64_t, const char*) { return true; }
}  // namespace check
}  // namespace AscendC

namespace latte::model {
namespace {
int taken = 0;
}

void begin_block(CoreKind kind, uint32_t block, uint32_t blocks) {
  block_idx = block;
  block_num = blocks;
  g_coreType = kind == CoreKind::kCube ? AscendC::AIC_TYPE : AscendC::AIV_TYPE;
  taken = 0;
}

void end_block() {
  if (taken != 0)
    throw Fault(std::to_string(taken) + " tensors of queues are not freed at the end");
}

}  // namespace latte::model

using latte::model::core;
using latte::model::Space;

void AscendCBufAbsAddr(uint8_t hardware, uint64_t address, uint64_t) {
  // The headers' numbers of the buffers: UB 1, L1 2, L0A 3, L0B 4, L0C 5, the bias table 6.
  constexpr Space spaces[] = {Space::kUB,  Space::kL1,  Space::kL0A,
                              Space::kL0B, Space::kL0C, Space::kBT};
  if (hardware >= 1 && hardware <= 6) {
    core().attach(spaces[hardware - 1], reinterpret_cast<uint8_t*>(address));
  }
}
void AscendCBufAlloc(uint8_t, uint8_t, uint64_t, uint64_t) { ++latte::model::taken; }
void AscendCBufFree(uint8_t, uint8_t, uint64_t, uint64_t) { --latte::model::taken; }
void AscendCBufDeque(uint8_t, uint8_t, uint8_t, uint64_t) {}
void AscendCBufEnque(uint8_t, uint8_t, uint8_t, uint64_t) {}
void AscendCBufGet(uint8_t, uint8_t, uint64_t, uint64_t) {}
void AscendCBufInit(uint8_t, uint8_t, uint8_t, uint64_t, uint64_t) {}
void AscendCQueCreate(uint8_t, uint8_t, uint8_t) {}
void AscendCTBufPoolResetCheck(uint8_t, uint64_t, uint64_t, uint64_t) {}
void AscendCUpdateTbufPoolStatus(uint64_t, bool) {}

// Registers that our kernels leave as they are.
void set_atomic_none() {}
void set_l1_3d_size(uint64_t) {}
void set_padding(uint64_t) {}

// Bit functions of the scalar unit: the first bit that is 0; a value with one bit set, or cleared.
int64_t sff0(uint64_t bits) {
  for (int i = 0; i < 64; ++i) {
    if (((bits >> i) & 1) == 0) return i;
  }
  return -1;
}
uint64_t sbitset0(uint64_t bits, int64_t index) { return bits & ~(uint64_t{1} << index); }
uint64_t sbitset1(uint64_t bits, int64_t index) { return bits | (uint64_t{1} << index); }
