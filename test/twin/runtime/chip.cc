// The chip that is simulated.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

#include "runtime/devices.h"

namespace latte::twin {

const std::string& soc_name() {
  static const std::string name = [] {
    const char* text = std::getenv("LATTE_TWIN_SOC");
    return std::string(text == nullptr || *text == '\0' ? "Ascend910B3" : text);
  }();
  return name;
}

bool is_first_generation() {
  // The names of hicann/runtime 681ef76, runtime.cc, SocTypeInit(). The 310P (Atlas inference
  // series) has the same limits: the products' pages of ops-nn exclude float32 with cubeMathType 0,
  // and bfloat16, for both series at once.
  static const bool first = [] {
    constexpr std::array<const char*, 5> names = {
        "Ascend910A", "Ascend910ProA", "Ascend910PremiumA", "Ascend910B", "Ascend910ProB"};
    return std::find(names.begin(), names.end(), soc_name()) != names.end() ||
           soc_name().rfind("Ascend310P", 0) == 0;
  }();
  return first;
}

}  // namespace latte::twin
