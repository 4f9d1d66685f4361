// The chips that this backend knows, by the names that aclrtGetSocName returns.
#pragma once

#include <string>

namespace latte::ascend {

/// The chip of this process's NPUs, known before one of them is opened.
struct Chip {
  std::string soc;  // 'Ascend910B3' …

  /// Whether matrix products exist only in float16: on the first Ascend 910 and the 310P.
  bool float16_only() const { return is_first_910() || is_310p(); }
  /// Whether the plugin's kernels were built for this family: 910B and 910_93.
  bool runs_kernels() const;
  /// The first generation of the Ascend 910.
  bool is_first_910() const;
  bool is_310p() const;
  /// A note for users of a chip for which this backend was not written; empty for the others.
  std::string note() const;
};

}  // namespace latte::ascend
