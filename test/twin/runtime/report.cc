#include "runtime/report.h"

#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "runtime/traffic.h"

namespace latte::twin {

namespace {

struct Report {
  std::mutex mutex;
  std::vector<std::string> violations;
  int64_t violations_ever = 0;
  std::map<std::string, int64_t> counters;
  std::vector<Fault> faults;
};

/// Never destroyed, because threads report until the process ends.
Report& report() {
  static auto* instance = new Report;
  return *instance;
}

thread_local std::string recent_error;
thread_local std::string read_error;

/// With LATTE_TWIN_STRICT=1 a process with a violation ends with an error. LATTE_TWIN_COUNT
/// names a function whose calls are printed.
struct AtExit {
  ~AtExit() {
    const char* counted = std::getenv("LATTE_TWIN_COUNT");
    if (counted != nullptr && *counted == 0) counted = nullptr;
    int64_t violations, calls;
    {
      const std::lock_guard lock(report().mutex);
      violations = report().violations_ever;
      calls = counted == nullptr ? 0 : report().counters[std::string("call ") + counted];
    }
    if (counted != nullptr) {
      std::fprintf(stderr, "twin: %s was called %lld time(s)\n", counted,
                   static_cast<long long>(calls));
    }
    if (violations == 0) return;
    std::fprintf(stderr, "twin: %lld violation(s)\n", static_cast<long long>(violations));
    if (environment_number("LATTE_TWIN_STRICT", 0) != 0) {
      std::fflush(nullptr);
      _exit(99);
    }
  }
} at_exit;

std::string vformat(const char* pattern, va_list arguments) {
  char text[1024];
  std::vsnprintf(text, sizeof text, pattern, arguments);
  return text;
}

}  // namespace

std::string format(const char* pattern, ...) {
  va_list arguments;
  va_start(arguments, pattern);
  std::string text = vformat(pattern, arguments);
  va_end(arguments);
  return text;
}

int failure(int code, const std::string& words) {
  recent_error = words;
  return code;
}

int misuse(int code, const std::string& words) {
  latte_twin_violation("%s", words.c_str());
  return failure(code, words);
}

void count(const std::string& name, int64_t by) {
  const std::lock_guard lock(report().mutex);
  report().counters[name] += by;
}

Injected take_fault(const char* function, const char* group, int device) {
  const std::lock_guard lock(report().mutex);
  auto& faults = report().faults;
  Injected due;
  for (size_t i = 0; i < faults.size();) {
    Fault& fault = faults[i];
    const bool meant = fault.call == function || (group != nullptr && fault.call == group);
    if (meant && (fault.device < 0 || fault.device == device) && --fault.nth == 0) {
      if (due.code == 0) due = {fault.code, fault.asynchronous};
      faults.erase(faults.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
  return due;
}

void inject_fault(Fault fault) {
  const std::lock_guard lock(report().mutex);
  report().faults.push_back(std::move(fault));
}

int clear_faults() {
  const std::lock_guard lock(report().mutex);
  const auto pending = static_cast<int>(report().faults.size());
  report().faults.clear();
  return pending;
}

int64_t environment_number(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoll(text, nullptr, 10);
}

}  // namespace latte::twin

using latte::twin::report;

extern "C" {

TWIN_EXPORT void latte_twin_violation(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const std::string words = latte::twin::vformat(format, arguments);
  va_end(arguments);
  std::fprintf(stderr, "twin: violation: %s\n", words.c_str());
  const std::lock_guard lock(report().mutex);
  ++report().violations_ever;
  report().violations.push_back(words);
}

TWIN_EXPORT void latte_twin_take_violations(void (*each)(void*, const char*), void* argument) {
  std::vector<std::string> taken;
  {
    const std::lock_guard lock(report().mutex);
    taken.swap(report().violations);
    report().violations_ever -= static_cast<int64_t>(taken.size());
  }
  for (const std::string& words : taken) each(argument, words.c_str());
}

TWIN_EXPORT void latte_twin_each_violation(void (*each)(void*, const char*), void* argument) {
  std::vector<std::string> copied;
  {
    const std::lock_guard lock(report().mutex);
    copied = report().violations;
  }
  for (const std::string& words : copied) each(argument, words.c_str());
}

TWIN_EXPORT void latte_twin_each_counter(void (*each)(void*, const char*, int64_t),
                                         void* argument) {
  std::map<std::string, int64_t> copied;
  {
    const std::lock_guard lock(report().mutex);
    copied = report().counters;
  }
  copied["bytes past L2"] = latte::twin::bytes_past_l2(false);
  for (const auto& [name, value] : copied) each(argument, name.c_str(), value);
}

TWIN_EXPORT void latte_twin_reset_counters(void) {
  latte::twin::bytes_past_l2(true);
  const std::lock_guard lock(report().mutex);
  report().counters.clear();
}

TWIN_EXPORT void latte_twin_inject(const char* call, int64_t nth, int code, int device,
                                   int asynchronous) {
  latte::twin::inject_fault({call, nth, code, device, asynchronous != 0});
}
}

namespace latte::ascend {

extern "C" const char* aclGetRecentErrMsg() {
  // "Obtains and clears the error messages" (acl.h, 8.1.RC1): each thread has its own.
  twin::read_error.swap(twin::recent_error);
  twin::recent_error.clear();
  return twin::read_error.empty() ? nullptr : twin::read_error.c_str();
}

}  // namespace latte::ascend
