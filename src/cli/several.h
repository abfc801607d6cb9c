// Positional arguments that take all words.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "cli/command.h"

namespace retort::cli {

/// True of those whose name ends in "...": after parsing, `value` holds the words, one a line.
inline bool takes_several(const Positional& place) {
  return place.name.ends_with("...");
}

/// The words in such a value.
inline std::vector<std::string> several(const std::string& value) {
  std::vector<std::string> words;
  std::istringstream lines(value);
  for (std::string line; std::getline(lines, line);) words.push_back(line);
  return words;
}

}  // namespace retort::cli
