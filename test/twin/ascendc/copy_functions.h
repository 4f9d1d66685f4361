// Copies between device memory and the unified buffer.
#pragma once

#include "tensors.h"

namespace AscendC {

struct DataCopyExtParams {
  uint16_t blockCount = 0;
  uint32_t blockLen = 0;
  uint32_t srcStride = 0;
  uint32_t dstStride = 0;
  uint32_t rsv = 0;
};

template <class T>
struct DataCopyPadExtParams {
  bool isPad = false;
  uint8_t leftPadding = 0;
  uint8_t rightPadding = 0;
  T paddingValue = 0;
};

template <class T>
inline void DataCopyPad(const LocalTensor<T>& to, const GlobalTensor<T>& from,
                        const DataCopyExtParams& p, const DataCopyPadExtParams<T>& pad) {
  if (pad.isPad) throw latte::model::Fault("DataCopyPad: padding is not modelled");
  const auto copy = sizeof(T) == 2 ? copy_gm_to_ubuf_align_b16 : copy_gm_to_ubuf_align_b32;
  copy(to.pointer(), from.pointer(), 0, p.blockCount, p.blockLen, 0, 0, p.srcStride, p.dstStride);
}
template <class T>
inline void DataCopyPad(const GlobalTensor<T>& to, const LocalTensor<T>& from,
                        const DataCopyExtParams& p) {
  const auto copy = sizeof(T) == 2 ? copy_ubuf_to_gm_align_b16 : copy_ubuf_to_gm_align_b32;
  copy(to.pointer(), from.pointer(), 0, p.blockCount, p.blockLen, 0, 0, p.srcStride, p.dstStride);
}

}  // namespace AscendC
