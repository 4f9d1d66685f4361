#include "core/error.h"

#include <new>
#include <stdexcept>

namespace latte {

namespace {

// Constructed when the addon is loaded, because later there may be no memory for them.
const Error out_of_memory(ErrorCode::kOutOfMemory, "the system is out of memory");
const Error unknown(ErrorCode::kState, "an exception of an unknown type was thrown");

}  // namespace

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

Error current_error() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return out_of_memory;
  } catch (const std::exception& error) {
    // A standard container throws length_error if it is asked for more than it can ever hold.
    const bool too_long = dynamic_cast<const std::length_error*>(&error) != nullptr;
    try {
      return {too_long ? ErrorCode::kOutOfMemory : ErrorCode::kState,
              std::string("an unexpected error in the addon: ") + error.what()};
    } catch (...) {
      return out_of_memory;
    }
  } catch (...) {
    return unknown;
  }
}

}  // namespace latte
