#include "backend/ascend/chip.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace latte::ascend {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Whether `name` is `prefix` followed by a digit.
bool is_numbered(std::string_view name, std::string_view prefix) {
  return name.starts_with(prefix) && name.size() > prefix.size() && is_digit(name[prefix.size()]);
}

}  // namespace

bool Chip::is_first_910() const {
  // hicann/runtime 681ef76, runtime.cc, SocTypeInit(): the first generation has exactly these
  // names. 'Ascend910B' without a digit is one of them; 'Ascend910B3' is of the second.
  constexpr std::array<std::string_view, 5> kNames = {
      "Ascend910A", "Ascend910ProA", "Ascend910PremiumA", "Ascend910B", "Ascend910ProB"};
  return std::find(kNames.begin(), kNames.end(), soc) != kNames.end();
}

bool Chip::is_310p() const { return is_numbered(soc, "Ascend310P"); }

bool Chip::runs_kernels() const {
  return is_numbered(soc, "Ascend910B") || is_numbered(soc, "Ascend910_93");
}

std::string Chip::note() const {
  if (is_first_910() || runs_kernels()) return "";
  if (is_310p()) return soc + " was not tried: layers use CANN's operators, in float16 alone";
  // 'Ascend910_9599' is what the Ascend 950 was called while it was new.
  const std::string_view name = soc;
  if (name.starts_with("Ascend950") || name.starts_with("Ascend910_")) {
    return soc + " is not supported yet: layers use CANN's operators, which was not tried";
  }
  return (soc.empty() ? "a chip without a name" : soc) +
         " was not tried: layers use CANN's operators";
}

}  // namespace latte::ascend
