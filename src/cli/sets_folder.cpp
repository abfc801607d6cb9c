#include "cli/sets_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <string_view>

#include "core/limits.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStart = "seed-";

std::optional<int64_t> number_of(std::string_view text) {
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, number);
  if (problem != std::errc() || stop != end || number < 0) return {};
  return number;
}

}  // namespace

SeedFolder seed_folder(const fs::path& out, int64_t seed) {
  return {seed, out / fmt::format("{}{}", kStart, seed)};
}

std::vector<SeedFolder> sets_in(const fs::path& folder) {
  std::vector<SeedFolder> sets;
  if (!fs::is_directory(folder) || fs::exists(folder / "recipe.toml")) return sets;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kStart) || !fs::exists(entry.path() / "recipe.toml")) continue;
    if (const auto seed = number_of(std::string_view(name).substr(kStart.size())))
      sets.push_back({*seed, entry.path()});
  }
  std::sort(sets.begin(), sets.end(),
            [](const SeedFolder& a, const SeedFolder& b) { return a.seed < b.seed; });
  return sets;
}

std::vector<SeedFolder> seed_folders(const fs::path& out, const std::vector<std::string>& seeds,
                                     Problems& problems) {
  std::vector<SeedFolder> folders;
  std::set<int64_t> seen;
  for (const std::string& text : seeds) {
    const std::optional<int64_t> seed = number_of(text);
    if (!seed || static_cast<double>(*seed) > kLargestSeed)
      problems.add("--seeds: '" + text + "' is not accepted: whole numbers from 0 on, as 0,1,2");
    else if (!seen.insert(*seed).second)
      problems.add("--seeds: " + text + " is there twice: equal seeds make equal sets");
    else
      folders.push_back(seed_folder(out, *seed));
  }
  return folders;
}

}  // namespace retort::cli
