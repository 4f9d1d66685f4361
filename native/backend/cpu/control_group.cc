#include "backend/cpu/control_group.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

namespace latte::cpu {

namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();
const std::string kRoot = "/sys/fs/cgroup";

/// The process's group under a controller: '' names version 2's one hierarchy. The file has lines
/// `number:controllers:path`.
std::string group_of(const std::string& controller) {
  std::ifstream file("/proc/self/cgroup");
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

/// The smallest limit from the process's own group up to the root: each of them binds.
template <class Read>
double smallest(const std::string& mount, std::string path, const Read& read) {
  double least = kUnlimited;
  for (;;) {
    least = std::min(least, read(mount + path));
    if (path.empty() || path == "/") return least;
    path.resize(path.find_last_of('/'));
  }
}

/// A number in a file, or infinity: no file, "max", or nothing that limits.
double number_in(const std::string& file) {
  std::ifstream stream(file);
  double number = 0;
  return stream >> number && number > 0 ? number : kUnlimited;
}

}  // namespace

double control_group_cores() {
  const double version_2 = smallest(kRoot, group_of(""), [](const std::string& group) {
    std::ifstream file(group + "/cpu.max");  // "quota period" or "max period"
    std::string quota;
    double period = 0;
    const bool limited = file >> quota >> period && quota != "max" && period > 0;
    return limited ? std::strtod(quota.c_str(), nullptr) / period : kUnlimited;
  });
  const double version_1 = smallest(kRoot + "/cpu", group_of("cpu"), [](const std::string& group) {
    const double quota = number_in(group + "/cpu.cfs_quota_us");
    const double period = number_in(group + "/cpu.cfs_period_us");
    return std::isfinite(period) ? quota / period : kUnlimited;
  });
  return std::min(version_1, version_2);
}

double control_group_memory() {
  const double version_2 = smallest(kRoot, group_of(""), [](const std::string& group) {
    return number_in(group + "/memory.max");
  });
  const double version_1 = smallest(
      kRoot + "/memory", group_of("memory"),
      [](const std::string& group) { return number_in(group + "/memory.limit_in_bytes"); });
  return std::min(version_1, version_2);
}

}  // namespace latte::cpu
