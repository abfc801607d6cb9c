// A folder includes only folders of a lower level. The table below is the rule; docs/design.md
// prints the same rows.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "structure/sources.h"
#include "support/support.h"

namespace retort::tests {
namespace {

namespace fs = std::filesystem;

struct Room {
  int level;
  std::string folder;
  std::vector<std::string> may_include;
};

const std::vector<Room>& rooms() {
  static const std::vector<Room> table = {
      {0, "core", {}},
      {1, "io", {"core"}},
      {1, "augment", {"core"}},
      {1, "losses", {"core"}},
      {1, "optim", {"core"}},
      {1, "report", {"core"}},
      {2, "data", {"core", "io"}},
      {2, "nets", {"core", "losses"}},
      {3, "synthetic", {"core", "io", "data"}},
      {3, "train", {"core", "data", "augment", "losses", "optim", "nets"}},
      {4,
       "teachers",
       {"core", "io", "data", "augment", "losses", "optim", "nets", "synthetic", "train"}},
      {4, "trajectories", {"core", "io", "data", "augment", "nets", "train"}},
      {5,
       "methods",
       {"core", "io", "data", "augment", "losses", "optim", "report", "nets", "synthetic", "train",
        "teachers", "trajectories"}},
      {5,
       "continual",
       {"core", "data", "augment", "optim", "report", "nets", "synthetic", "train"}},
      {5,
       "studies",
       {"core", "data", "augment", "losses", "report", "nets", "synthetic", "train", "teachers",
        "trajectories"}},
      {6, "eval", {"core", "data", "augment", "nets", "synthetic", "train", "teachers", "methods"}},
      {7,
       "cli",
       {"core", "io", "data", "augment", "optim", "report", "nets", "synthetic", "train",
        "teachers", "trajectories", "methods", "eval", "continual", "studies"}},
  };
  return table;
}

const Room* find_room(const std::string& folder) {
  for (const Room& room : rooms())
    if (room.folder == folder) return &room;
  return nullptr;
}

/// "src/methods/dm/dm.cpp" and "include/retort/methods/x.h" both lie in {"methods", ...}.
std::vector<std::string> inside(const fs::path& file) {
  std::vector<std::string> parts(file.begin(), file.end());
  return {parts.begin() + (parts[0] == "src" ? 1 : 2), parts.end()};
}

/// Where a quoted include lies in the project; empty when nowhere.
fs::path resolve(const std::string& name) {
  for (const char* base : {"src", "include"})
    if (fs::exists(source_root() / base / name)) return fs::path(base) / name;
  return {};
}

/// What is wrong with `file` including `name`, or empty.
std::string objection(const fs::path& file, const std::string& name) {
  const fs::path target = resolve(name);
  if (target.empty()) return "names no file from the root of src/ or include/";
  const auto from = inside(file), to = inside(target);
  if (from[0] != to[0]) {
    const auto& may = find_room(from[0])->may_include;
    const bool allowed = std::find(may.begin(), may.end(), to[0]) != may.end();
    return allowed ? "" : from[0] + " may not include " + to[0];
  }
  // Families of methods do not know each other; what lies in methods/ itself is shared.
  const bool families = from[0] == "methods" && from.size() > 2 && to.size() > 2;
  return families && from[1] != to[1] ? "a family of methods may not include another" : "";
}

/// What the folders inside nets/ may include of each other. Files of nets/ itself are shared; only
/// its table of engines, and the layers that use the fused block, know these folders.
const std::map<std::string, std::vector<std::string>>& nets_folders() {
  static const std::map<std::string, std::vector<std::string>> table = {
      {"arch", {}},
      {"fused", {}},
      {"autograd", {}},
      {"sequential", {}},
      {"winograd", {}},
      {"blocked", {"sequential", "winograd"}},           // the head: the loss of a sweep
      {"graph", {"blocked", "sequential", "winograd"}},  // arenas, the linear layer and its losses
      {"engines.cpp", {"autograd", "blocked", "graph", "sequential"}},
      {"layer_builder.cpp", {"fused"}},
  };
  return table;
}

TEST(Layers, EnginesOfNetsDoNotKnowEachOther) {
  int seen = 0;
  for (const fs::path& file : files_under({"src/nets"})) {
    const std::string from = inside(file)[1];
    for (const Include& include : includes_of(file)) {
      const fs::path target = include.quoted ? resolve(include.name) : fs::path();
      const auto to = target.empty() ? std::vector<std::string>() : inside(target);
      if (to.size() < 3 || to[0] != "nets" || to[1] == from) continue;
      ++seen;
      const auto row = nets_folders().find(from);
      ASSERT_NE(row, nets_folders().end()) << file << " includes \"" << include.name << '"';
      EXPECT_NE(std::find(row->second.begin(), row->second.end(), to[1]), row->second.end())
          << file << " includes \"" << include.name << '"';
    }
  }
  EXPECT_GT(seen, 3);
}

TEST(Layers, EveryFolderIncludesOnlyLowerLevels) {
  int seen = 0;
  for (const fs::path& file : files_under({"src", "include/retort"})) {
    if (file == fs::path("include/retort/retort.h")) continue;  // of all rooms
    ASSERT_NE(find_room(inside(file)[0]), nullptr) << file << " lies in a folder outside the table";
    for (const Include& include : includes_of(file)) {
      if (!include.quoted) continue;
      ++seen;
      EXPECT_EQ(objection(file, include.name), "") << file << " includes \"" << include.name << '"';
    }
  }
  EXPECT_GT(seen, 50);
}

TEST(Layers, TableGoesDownOnly) {
  for (const Room& room : rooms())
    for (const std::string& below : room.may_include)
      EXPECT_LT(find_room(below)->level, room.level) << room.folder << " and " << below;
}

TEST(Layers, DesignPagePrintsTheSameTable) {
  const std::string page = read_text(source_root() / "docs" / "design.md");
  for (const Room& room : rooms()) {
    std::string row = "| " + std::to_string(room.level) + " | " + room.folder + " | ";
    for (size_t i = 0; i < room.may_include.size(); ++i)
      row += (i == 0 ? "" : ", ") + room.may_include[i];
    if (room.may_include.empty()) row += "nothing of ours";
    EXPECT_NE(page.find(row + " |"), std::string::npos) << "docs/design.md lacks the row: " << row;
  }
}

bool promises_no_torch(const fs::path& file) {
  const auto lines = lines_of(file);
  for (size_t i = 0; i < std::min<size_t>(lines.size(), 8); ++i)
    if (lines[i].find("No torch here") != std::string::npos) return true;
  return false;
}

/// The first torch header that `file` pulls in, with the way to it; empty when none.
std::string torch_through(const fs::path& file, std::set<fs::path>& visited) {
  if (!visited.insert(file).second) return "";
  for (const Include& include : includes_of(file)) {
    if (!include.quoted) {
      for (const char* start : {"torch/", "ATen/", "c10/", "caffe2/"})
        if (include.name.starts_with(start)) return file.string() + " > " + include.name;
      continue;
    }
    const fs::path target = resolve(include.name);
    const std::string found = target.empty() ? "" : torch_through(target, visited);
    if (!found.empty()) return file.string() + " > " + found;
  }
  return "";
}

TEST(Layers, FilesThatPromiseNoTorchHaveNone) {
  for (const fs::path& file : files_under({"src", "include/retort"})) {
    for (const std::string& line : lines_of(file))  // the build looks for the words in one line
      EXPECT_FALSE(line.starts_with("// torch here")) << file << ": a broken 'No torch here'";
    std::set<fs::path> visited;
    if (promises_no_torch(file)) {
      EXPECT_EQ(torch_through(file, visited), "");
    }
  }
}

}  // namespace
}  // namespace retort::tests
