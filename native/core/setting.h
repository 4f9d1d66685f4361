// Settings that come from environment variables, which are read once in a process.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace latte {

/// The value of an environment variable; nothing if it is not set or empty.
std::optional<std::string> setting(const char* name);

/// Throws ERR_VALUE with the variable's name, what it must be and what it is.
[[noreturn]] void refuse_setting(const char* name, std::string_view expected,
                                 std::string_view value);

/// Whether an environment variable is 1; `otherwise` if it is not set. Throws ERR_VALUE if it is
/// neither 0 nor 1.
bool flag_setting(const char* name, bool otherwise = false);

/// A whole number from 1 to `most`; nothing if the variable is not set. Throws ERR_VALUE otherwise.
std::optional<int> number_setting(const char* name, int most);

}  // namespace latte
