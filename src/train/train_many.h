// How many students of an evaluation are trained at once.
#pragma once

#include <cstdint>

namespace retort::train {

/// Students trained side by side, one thread each; 1: one after the other on all threads.
/// `rows` are those of the largest batch.
int64_t students_at_once(int64_t students, int64_t rows, int64_t threads);

}  // namespace retort::train
