// Which images are recovered together: the statistics of a group are compared with the teacher's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace retort::methods {

/// Rows of a set whose class c is offsets[c]..offsets[c + 1] - 1, in groups of up to `size`.
/// cross_class: image j of as many classes as fit (SRe2L). class_wise: one class each (LPLD).
/// mixed: in the set's order, so that the images of a class meet those of its neighbours (G-VBSM).
std::vector<std::vector<int64_t>> make_groups(const std::vector<int64_t>& offsets,
                                              const std::string& grouping, int64_t size);

}  // namespace retort::methods
