// Taking rows out of a split, class by class.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "retort/data/dataset.h"

namespace retort::data {

/// Rows of one part, by class.
using Members = std::vector<std::vector<int64_t>>;

/// Parts the rows as hold_out does: (rest, taken), each ascending.
std::pair<std::vector<int64_t>, std::vector<int64_t>> held_rows(const Members& members,
                                                                double fraction, int64_t seed,
                                                                std::string_view purpose);

/// That a test part of `fraction` was split off, for the set's notes.
std::string test_split_note(double fraction, int64_t seed);

/// Splits `fraction` of every class off (rounded; at least one row stays and, of two or more, at
/// least one goes), chosen by the stream (seed, purpose, class). Returns (rest, taken), rows
/// ascending.
std::pair<Split, Split> hold_out(const Split& whole, double fraction, int64_t seed,
                                 std::string_view purpose);

}  // namespace retort::data
