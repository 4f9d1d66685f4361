// The one exception of the native code. Its codes are those of LatteError in lib/errors.ts.
#pragma once

#include <exception>
#include <memory>
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

/// Copies share their texts, so that copying an error never throws.
class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message)
      : code_(code), texts_(std::make_shared<const Texts>(Texts{std::move(message), {}})) {}

  /// ERR_DEVICE: `operation` failed with a device runtime's own `status`.
  Error(std::string message, std::string operation, int status)
      : code_(ErrorCode::kDevice),
        texts_(std::make_shared<const Texts>(Texts{std::move(message), std::move(operation)})),
        status_(status) {}

  // Declared, so that there is no move, which would leave an error without texts.
  Error(const Error&) noexcept = default;
  Error& operator=(const Error&) noexcept = default;

  ErrorCode code() const { return code_; }
  const char* what() const noexcept override { return texts_->message.c_str(); }
  const std::string& operation() const { return texts_->operation; }
  int status() const { return status_; }

 private:
  struct Texts {
    std::string message, operation;
  };

  ErrorCode code_;
  std::shared_ptr<const Texts> texts_;
  int status_ = 0;
};

/// The exception that is being handled, as an Error. To be called inside a catch block. Without
/// memory for the exception's text it returns ERR_OUT_OF_MEMORY.
Error current_error() noexcept;

/// Throws an Error whose message is the arguments written one after another.
template <class... Parts>
[[noreturn]] void fail(ErrorCode code, const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw Error(code, message.str());
}

}  // namespace latte
