#include "system/control_group.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace latte::system {

namespace {

/// The path of the process's group under a controller; '' is the one hierarchy of version 2. The
/// file has lines `number:controllers:path`.
std::string group_of(const SystemFolders& folders, const std::string& controller) {
  std::ifstream file(folders.proc + "/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string number, controllers, path;
    std::getline(fields, number, ':');
    std::getline(fields, controllers, ':');
    std::getline(fields, path);
    if (("," + controllers + ",").find("," + controller + ",") != std::string::npos) return path;
  }
  return "/";
}

/// Calls visit(folder) for the process's own group and for each group above it: the limits of all
/// of them apply.
template <class Visit>
void each_group(const std::string& mount, std::string path, const Visit& visit) {
  for (;;) {
    visit(mount + path);
    if (path.empty() || path == "/") return;
    path.resize(path.find_last_of('/'));
  }
}

/// The positive number that a file holds; kUnlimited if there is no file, or if it holds "max", 0
/// or −1.
double limit_in(const std::string& file) {
  std::ifstream stream(file);
  double number = 0;
  return stream >> number && number > 0 ? number : kUnlimited;
}

/// The number after `key` in a file of lines `key number`; 0 if there is none.
double value_of(const std::string& file, const std::string& key) {
  std::ifstream stream(file);
  std::string name;
  for (double value = 0; stream >> name >> value;) {
    if (name == key) return value;
  }
  return 0;
}

struct MemoryFiles {
  const char* limit;
  const char* usage;
  const char* unused_files;  // the key in memory.stat: page cache that can be reclaimed
};

/// Lowers `least` to what this group still allows.
void take_group(const std::string& group, const MemoryFiles& files, ControlGroupMemory& least) {
  const double limit = limit_in(group + "/" + files.limit);
  if (!std::isfinite(limit)) return;
  least.limit = std::min(least.limit, limit);
  double used = 0;
  std::ifstream(group + "/" + files.usage) >> used;
  const double reclaimable = value_of(group + "/memory.stat", files.unused_files);
  const double available = limit - std::max(0.0, used - reclaimable);
  least.available = std::min(least.available, std::max(0.0, available));
}

}  // namespace

double control_group_cores(const SystemFolders& folders) {
  double least = kUnlimited;
  each_group(folders.control_groups, group_of(folders, ""), [&](const std::string& group) {
    std::ifstream file(group + "/cpu.max");  // "quota period" or "max period"
    std::string quota;
    double period = 0;
    if (file >> quota >> period && quota != "max" && period > 0) {
      least = std::min(least, std::strtod(quota.c_str(), nullptr) / period);
    }
  });
  each_group(folders.control_groups + "/cpu", group_of(folders, "cpu"),
             [&](const std::string& group) {
               const double quota = limit_in(group + "/cpu.cfs_quota_us");
               const double period = limit_in(group + "/cpu.cfs_period_us");
               if (std::isfinite(period)) least = std::min(least, quota / period);
             });
  return least;
}

ControlGroupMemory control_group_memory(const SystemFolders& folders) {
  constexpr MemoryFiles kVersion2{"memory.max", "memory.current", "inactive_file"};
  constexpr MemoryFiles kVersion1{"memory.limit_in_bytes", "memory.usage_in_bytes",
                                  "total_inactive_file"};
  ControlGroupMemory least;
  each_group(folders.control_groups, group_of(folders, ""),
             [&](const std::string& group) { take_group(group, kVersion2, least); });
  each_group(folders.control_groups + "/memory", group_of(folders, "memory"),
             [&](const std::string& group) { take_group(group, kVersion1, least); });
  return least;
}

}  // namespace latte::system
