#include "core/setting.h"

#include <cstdlib>

#include "core/error.h"

namespace latte {

std::optional<std::string> setting(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

void refuse_setting(const char* name, std::string_view expected, std::string_view value) {
  constexpr size_t kShown = 200;
  const char* cut = value.size() > kShown ? "…" : "";
  fail(ErrorCode::kValue, "the environment variable ", name, " must be ", expected, ", but is \"",
       value.substr(0, kShown), cut, '"');
}

bool flag_setting(const char* name) {
  const auto value = setting(name);
  if (!value || *value == "0") return false;
  if (*value != "1") refuse_setting(name, "0 or 1", *value);
  return true;
}

}  // namespace latte
