// The functions of the cube core, with the structures that hold their parameters.
#pragma once

#include "../model/cube_intrinsics.h"
#include "tensors.h"

namespace AscendC {

struct DataCopyParams {
  uint16_t blockCount = 1;
  uint16_t blockLen = 0;
  uint16_t srcStride = 0;
  uint16_t dstStride = 0;
};

struct Nd2NzParams {
  uint16_t ndNum = 0;
  uint16_t nValue = 0;
  uint16_t dValue = 0;
  uint16_t srcNdMatrixStride = 0;
  uint16_t srcDValue = 0;
  uint16_t dstNzC0Stride = 0;
  uint16_t dstNzNStride = 0;
  uint16_t dstNzMatrixStride = 0;
};

struct LoadData2DParams {
  uint16_t startIndex = 0;
  uint16_t dstGap = 0;
  uint16_t srcStride = 0;
  bool ifTranspose = false;
  uint8_t repeatTimes = 0;
};

struct LoadData2dTransposeParams {
  uint16_t startIndex = 0;
  uint8_t repeatTimes = 0;
  uint16_t srcStride = 0;
  uint16_t dstGap = 0;
  uint16_t dstFracGap = 0;
};

struct MmadParams {
  uint16_t m = 0;
  uint16_t n = 0;
  uint16_t k = 0;
  uint8_t unitFlag = 0;
  bool cmatrixSource = false;
  bool cmatrixInitVal = true;
};

template <class T>
struct InitConstValueParams {
  uint16_t repeatTimes = 0;
  uint16_t blockNum = 0;
  uint16_t dstGap = 0;
  T initValue = 0;
};

enum class CO2Layout : uint8_t { NZ, ROW_MAJOR };
struct FixpipeConfig {
  CO2Layout format;
};
constexpr FixpipeConfig CFG_ROW_MAJOR = {CO2Layout::ROW_MAJOR};

struct FixpipeParamsV220 {
  uint16_t nSize = 0;
  uint16_t mSize = 0;
  uint16_t srcStride = 0;
  uint32_t dstStride = 0;
  QuantMode_t quantPre = NoQuant;
  uint16_t ndNum = 1;
  uint16_t srcNdStride = 0;
  uint16_t dstNdStride = 0;
  bool reluEn = false;
  uint8_t unitFlag = 0;
  bool isChannelSplit = false;
};

inline void require_space(latte::model::Space actual, latte::model::Space expected,
                          const char* function) {
  if (actual != expected) {
    throw latte::model::Fault(std::string(function) + ": an operand is in " +
                              latte::model::space_name(actual));
  }
}

template <class T>
inline void DataCopy(const LocalTensor<T>& to, const GlobalTensor<T>& from,
                     const DataCopyParams& p) {
  require_space(to.space(), latte::model::Space::kL1, "DataCopy");
  copy_gm_to_cbuf(to.pointer(), from.pointer(), 0, p.blockCount, p.blockLen, p.srcStride,
                  p.dstStride, PAD_NONE);
}
template <class T>
inline void DataCopy(const LocalTensor<T>& to, const LocalTensor<T>& from,
                     const DataCopyParams& p) {
  require_space(to.space(), latte::model::Space::kBT, "DataCopy");
  copy_cbuf_to_bt(reinterpret_cast<uint64_t>(to.pointer()), from.pointer(), 0, p.blockCount,
                  p.blockLen, p.srcStride, p.dstStride);
}
template <class T>
inline void DataCopy(const LocalTensor<T>& to, const GlobalTensor<T>& from, const Nd2NzParams& p) {
  require_space(to.space(), latte::model::Space::kL1, "DataCopy");
  const auto copy = [&](auto instruction) {
    instruction(to.pointer(), from.pointer(), 0, p.ndNum, p.nValue, p.dValue, p.srcNdMatrixStride,
                p.srcDValue, p.dstNzC0Stride, p.dstNzNStride, p.dstNzMatrixStride);
  };
  if constexpr (sizeof(T) == 4) {
    copy([](auto... arguments) { copy_gm_to_cbuf_multi_nd2nz_b32s(arguments...); });
  } else {
    copy([](auto... arguments) { copy_gm_to_cbuf_multi_nd2nz_b16(arguments...); });
  }
}

template <class T>
inline void InitConstValue(const LocalTensor<T>& to, const InitConstValueParams<T>& p) {
  require_space(to.space(), latte::model::Space::kL1, "InitConstValue");
  const uint64_t fields =
      uint64_t{p.dstGap} << 32 | uint64_t{p.blockNum} << 16 | uint64_t{p.repeatTimes};
  create_cbuf_matrix(to.pointer(), static_cast<int64_t>(fields), p.initValue);
}

template <class T>
inline void LoadData(const LocalTensor<T>& to, const LocalTensor<T>& from,
                     const LoadData2DParams& p) {
  require_space(from.space(), latte::model::Space::kL1, "LoadData");
  if (to.space() == latte::model::Space::kL0A) {
    load_cbuf_to_ca(to.pointer(), from.pointer(), p.startIndex, p.repeatTimes, p.srcStride,
                    p.dstGap, 0, p.ifTranspose, inc);
  } else {
    require_space(to.space(), latte::model::Space::kL0B, "LoadData");
    load_cbuf_to_cb(to.pointer(), from.pointer(), p.startIndex, p.repeatTimes, p.srcStride,
                    p.dstGap, 0, p.ifTranspose, inc);
  }
}
template <class T>
inline void LoadDataWithTranspose(const LocalTensor<T>& to, const LocalTensor<T>& from,
                                  const LoadData2dTransposeParams& p) {
  require_space(from.space(), latte::model::Space::kL1, "LoadDataWithTranspose");
  require_space(to.space(), latte::model::Space::kL0A, "LoadDataWithTranspose");
  load_cbuf_to_ca_transpose(to.pointer(), from.pointer(), p.startIndex, p.repeatTimes, p.srcStride,
                            p.dstGap, false, p.dstFracGap);
}

inline void SetHF32Mode(bool on) {
  const uint64_t bit = uint64_t{1} << latte::model::kHf32Bit;
  set_ctrl(on ? get_ctrl() | bit : get_ctrl() & ~bit);
}

template <class T>
inline void Mmad(const LocalTensor<float>& c, const LocalTensor<T>& a, const LocalTensor<T>& b,
                 const MmadParams& p) {
  mad(c.pointer(), a.pointer(), b.pointer(), p.m, p.k, p.n, p.unitFlag, false, p.cmatrixSource,
      p.cmatrixInitVal);
}
template <class T>
inline void Mmad(const LocalTensor<float>& c, const LocalTensor<T>& a, const LocalTensor<T>& b,
                 const LocalTensor<float>& bias, const MmadParams& p) {
  mad(c.pointer(), a.pointer(), b.pointer(), reinterpret_cast<uint64_t>(bias.pointer()), p.m, p.k,
      p.n, p.unitFlag, false, bias.space() == latte::model::Space::kBT, p.cmatrixInitVal);
}

template <class T, class From, const FixpipeConfig& config>
inline void Fixpipe(const GlobalTensor<T>& to, const LocalTensor<From>& from,
                    const FixpipeParamsV220& p) {
  require_space(from.space(), latte::model::Space::kL0C, "Fixpipe");
  set_nd_para(uint64_t{p.dstNdStride} << 32 | uint64_t{p.srcNdStride} << 16 | uint64_t{p.ndNum});
  pipe_barrier(PIPE_FIX);
  copy_matrix_cc_to_gm(to.pointer(), from.pointer(), 0, p.nSize, p.mSize, p.dstStride, p.srcStride,
                       p.unitFlag, p.quantPre, p.reluEn, p.isChannelSplit,
                       config.format == CO2Layout::ROW_MAJOR);
}

}  // namespace AscendC
