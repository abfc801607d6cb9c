// Memory that is there, asked before much of it is taken. No torch here.
#pragma once

#include <cstdint>
#include <string>

namespace retort {

/// Bytes that this process may still take: the least of what the machine has free, what its control
/// groups allow and what the limit on its address space (ulimit -v) leaves.
int64_t available_memory_bytes();

/// ResourceError where `bytes` are more than that: "DOING: it takes 12 GB of memory, 4 GB are
/// free", and the advice.
void require_memory(const std::string& doing, int64_t bytes, const std::string& advice);

}  // namespace retort
