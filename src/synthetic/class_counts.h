// Lines of CLASS=COUNT. No torch here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace retort::synthetic {

constexpr int64_t kMostOfAClass = 1'000'000;  // products with pixels stay far below 2^63

/// The number that is the whole of the text.
std::optional<int64_t> whole_number(std::string_view text);

/// The count of each class by CLASS=COUNT lines, CLASS being a name, an id or an index; everything
/// wrong is collected. Names may hold '=': the last one counts.
std::vector<int64_t> counts_of_lines(const std::string& text, const std::vector<std::string>& names,
                                     const std::vector<std::string>& ids,
                                     std::vector<std::string>& problems);

}  // namespace retort::synthetic
