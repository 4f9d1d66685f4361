// The only exception type that the native code throws. Its codes are those of LatteError in
// lib/errors.ts.
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

/// 'ERR_SHAPE' …, as in JavaScript.
const char* error_code_name(ErrorCode code);

/// An error with a code and a message. Copies share their texts, so that copying never throws.
class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message)
      : code_(code), texts_(std::make_shared<const Texts>(Texts{std::move(message), {}})) {}

  /// ERR_DEVICE: `operation`, a function of a device's runtime, failed with that runtime's
  /// `status`.
  Error(std::string message, std::string operation, int status)
      : code_(ErrorCode::kDevice),
        texts_(std::make_shared<const Texts>(Texts{std::move(message), std::move(operation)})),
        status_(status) {}

  // Declaring the copy functions suppresses the move functions, which would leave an error without
  // texts.
  Error(const Error&) noexcept = default;
  Error& operator=(const Error&) noexcept = default;

  ErrorCode code() const { return code_; }
  const char* what() const noexcept override { return texts_->message.c_str(); }
  /// The function that failed, of ERR_DEVICE; else empty.
  const std::string& operation() const { return texts_->operation; }
  /// The status with which it failed; else 0.
  int status() const { return status_; }

 private:
  struct Texts {
    std::string message, operation;
  };

  ErrorCode code_;
  std::shared_ptr<const Texts> texts_;
  int status_ = 0;
};

/// The exception that is being handled, as an Error. Call it inside a catch block. Returns
/// ERR_OUT_OF_MEMORY if there is no memory for the exception's text.
Error current_error() noexcept;

/// Throws an Error whose message is the arguments written one after another.
template <class... Parts>
[[noreturn]] void fail(ErrorCode code, const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw Error(code, message.str());
}

}  // namespace latte
