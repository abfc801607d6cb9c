// Named tables: methods, networks, readers, parametrisations. A table is an explicit array; its
// order is the order a reader sees.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retort/core/error.h"

namespace retort {

/// Names of a table whose entries have a `name`.
template <class Entry>
std::vector<std::string> names_of(std::span<const Entry> table) {
  std::vector<std::string> names;
  for (const Entry& entry : table) names.emplace_back(entry.name);
  return names;
}

/// The entry called `name`; throws ConfigError with all candidates and the nearest spelling.
template <class Entry>
const Entry& find_entry(std::span<const Entry> table, std::string_view kind,
                        std::string_view name) {
  for (const Entry& entry : table)
    if (entry.name == name) return entry;
  throw ConfigError::unknown("choosing the " + std::string(kind), kind, name, names_of(table));
}

}  // namespace retort
