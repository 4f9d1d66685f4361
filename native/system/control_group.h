// What the process's control groups (version 1 or 2) leave it.
#pragma once

#include <limits>
#include <string>

namespace latte::system {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();

/// The folders in which Linux describes the machine; tests have others.
struct SystemFolders {
  std::string proc = "/proc";
  std::string control_groups = "/sys/fs/cgroup";
};

/// Processors' worth of time; kUnlimited if nothing limits it.
double control_group_cores(const SystemFolders& folders = {});

/// In bytes; kUnlimited if nothing limits them.
struct ControlGroupMemory {
  double limit = kUnlimited;
  /// What the limits still allow: a group's files in the page cache that nobody uses count as free.
  double available = kUnlimited;
};
ControlGroupMemory control_group_memory(const SystemFolders& folders = {});

}  // namespace latte::system
