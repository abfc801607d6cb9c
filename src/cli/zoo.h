// The zoo: sets that come with the program. NAME.safetensors is a bundle, NAME.toml beside it its
// card: what made it, and how well students train on it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "retort/core/options.h"
#include "retort/synthetic/bundle.h"

namespace retort::cli {

/// The card of one set.
struct ZooCard {
  std::string name;  ///< of the files; not in the card itself
  std::string recipe;
  std::vector<std::string> changes;  ///< keys of the recipe that were replaced, KEY=VALUE
  std::string method, data, licence, content_hash;
  int64_t images = 0, seed = 0;
  std::string labels = "hard";  ///< or soft
  std::string network, protocol;
  int64_t students = 0;
  double accuracy = 0, deviation = 0;         ///< percent on the test part, over students
  std::string random = "-", published = "-";  ///< "15.3 ± 0.4", percent
  std::string program_version;

  void declare(OptionSet& options);
};

/// The folder that came with this program, installed, as a Python package or beside its build;
/// ResourceError where there is none.
std::filesystem::path zoo_folder();

/// All cards of a folder, by name; DataError for a damaged one.
std::vector<ZooCard> zoo_cards(const std::filesystem::path& folder);

/// Writes the set of a finished `retort reproduce --out reproduction`, the first of several, and
/// its card into the folder. Whitening matrices, which the data give, are left out. StateError
/// where the set or its evaluation is missing, ConfigError for a name that is taken.
ZooCard add_to_zoo(const std::filesystem::path& folder, const std::string& name,
                   const std::filesystem::path& reproduction);

}  // namespace retort::cli
