#include "core/error.h"

namespace latte {

const char* error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kShape:
      return "ERR_SHAPE";
    case ErrorCode::kDType:
      return "ERR_DTYPE";
    case ErrorCode::kValue:
      return "ERR_VALUE";
    case ErrorCode::kState:
      return "ERR_STATE";
    case ErrorCode::kDisposed:
      return "ERR_DISPOSED";
    case ErrorCode::kDeviceUnavailable:
      return "ERR_DEVICE_UNAVAILABLE";
    case ErrorCode::kDevice:
      return "ERR_DEVICE";
    case ErrorCode::kOutOfMemory:
      return "ERR_OUT_OF_MEMORY";
    case ErrorCode::kAborted:
      return "ERR_ABORTED";
  }
  return "ERR_STATE";
}

}  // namespace latte
