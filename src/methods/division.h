// What the processes of a job share of each method's work: for `retort describe` and docs/scale.md.
#pragma once

#include <string>
#include <vector>

namespace retort::methods {

/// A row for methods that divide alike.
struct Division {
  std::vector<std::string> methods;
  std::string shared;   ///< what is dealt out, "classes"; empty: nothing
  std::string crosses;  ///< between the processes, and when
  std::string rest;     ///< what does not divide; why, where nothing does
};

/// Every method of the table of methods is in one row.
const std::vector<Division>& divisions();

/// Of a method; an empty row where it is none of the table.
Division division_of(const std::string& method);

}  // namespace retort::methods
