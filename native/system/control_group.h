// How much processor time and memory the process's control groups (version 1 or 2) allow.
#pragma once

#include <limits>
#include <string>

namespace latte::system {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();

/// The folders in which Linux describes the machine. Tests pass folders of their own.
struct SystemFolders {
  std::string proc = "/proc";
  std::string control_groups = "/sys/fs/cgroup";
};

/// How many cores' worth of processor time is allowed, 1.5 for example; kUnlimited if nothing
/// limits it.
double control_group_cores(const SystemFolders& folders = {});

/// In bytes; kUnlimited if nothing limits them.
struct ControlGroupMemory {
  double limit = kUnlimited;
  /// What the limits still allow. A group's inactive page cache counts as free.
  double available = kUnlimited;
};
ControlGroupMemory control_group_memory(const SystemFolders& folders = {});

}  // namespace latte::system
