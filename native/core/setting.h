// Settings that come from environment variables, which are read once in a process.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace latte {

/// The value of an environment variable; nothing if the variable is not set or empty.
std::optional<std::string> setting(const char* name);

/// Throws ERR_VALUE. The message names the variable, what it must be (`expected`) and its value.
[[noreturn]] void refuse_setting(const char* name, std::string_view expected,
                                 std::string_view value);

/// Whether an environment variable is 1; `unset` if it is not set. Throws ERR_VALUE if its value is
/// neither 0 nor 1.
bool flag_setting(const char* name, bool unset = false);

/// The value of an environment variable as a whole number; nothing if the variable is not set.
/// Throws ERR_VALUE unless the number is from 1 to `most`.
std::optional<int> number_setting(const char* name, int most);

}  // namespace latte
