#include "core/setting.h"

#include <charconv>
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

bool flag_setting(const char* name, bool unset) {
  const auto value = setting(name);
  if (!value) return unset;
  if (*value != "0" && *value != "1") refuse_setting(name, "0 or 1", *value);
  return *value == "1";
}

std::optional<int> number_setting(const char* name, int most) {
  const auto text = setting(name);
  if (!text) return std::nullopt;
  int number = 0;
  const char* const end = text->data() + text->size();
  const auto parsed = std::from_chars(text->data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end || number < 1 || number > most) {
    refuse_setting(name, "a whole number from 1 to " + std::to_string(most), *text);
  }
  return number;
}

}  // namespace latte
