// What the process's control groups (version 1 or 2) leave it.
#pragma once

namespace latte::cpu {

/// Processors' worth of time; infinity where nothing limits it.
double control_group_cores();

/// Bytes of memory; infinity where nothing limits it.
double control_group_memory();

}  // namespace latte::cpu
