// The one exception of the native code. Its codes are those of LatteError in lib/errors.ts.
#pragma once

#include <exception>
#include <sstream>
#include <string>
#include <utility>

namespace latte {

enum class ErrorCode {
  kShape,
  kDType,
  kValue,
  kState,
  kDisposed,
  kDeviceUnavailable,
  kDevice,
  kOutOfMemory,
  kAborted,
};

const char* error_code_name(ErrorCode code);

class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  /// ERR_DEVICE: `operation` failed with a device runtime's own `status`.
  Error(std::string message, std::string operation, int status)
      : code_(ErrorCode::kDevice),
        message_(std::move(message)),
        operation_(std::move(operation)),
        status_(status) {}

  ErrorCode code() const { return code_; }
  const char* what() const noexcept override { return message_.c_str(); }
  const std::string& operation() const { return operation_; }
  int status() const { return status_; }

 private:
  ErrorCode code_;
  std::string message_;
  std::string operation_;
  int status_ = 0;
};

/// Throws an Error whose message is the arguments written one after another.
template <class... Parts>
[[noreturn]] void fail(ErrorCode code, const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw Error(code, message.str());
}

}  // namespace latte
