// The chips that this backend knows, by the names that aclrtGetSocName gives.
#pragma once

#include <string>

namespace latte::ascend {

/// What the process knows of its NPUs before one is opened.
struct Chip {
  std::string soc;  // 'Ascend910B3' …

  /// Whether matrix products exist in float16 alone: on the first Ascend 910 and the 310P.
  bool float16_only() const { return is_first_910() || is_310p(); }
  /// Whether the plugin's kernels were built for this family: 910B and 910_93.
  bool runs_kernels() const;
  /// The first generation of the Ascend 910.
  bool is_first_910() const;
  bool is_310p() const;
  /// What to expect of a chip that this backend was not written for; empty for the others.
  std::string note() const;
};

}  // namespace latte::ascend
