// Tables: an implementation is named in its table and nowhere else, so that adding or removing one
// is a row.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "methods/division.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "retort/data/raw.h"
#include "retort/eval/evaluate.h"
#include "retort/methods/method.h"
#include "retort/nets/network.h"
#include "retort/synthetic/parametrisation.h"
#include "structure/sources.h"

namespace retort::tests {
namespace {

namespace fs = std::filesystem;

struct Table {
  fs::path file;
  std::vector<std::string> names;
};

template <class Rows>
Table table(const char* file, const Rows& rows) {
  Table made{file, {}};
  for (const auto& row : rows) made.names.emplace_back(row.name);
  return made;
}

const std::vector<Table>& tables() {
  static const std::vector<Table> all = {
      table("src/methods/registry.cpp", methods::method_table()),
      table("src/data/raw.cpp", data::readers()),
      table("src/nets/arch/make_network.cpp", nets::network_table()),
      table("src/synthetic/parametrisation.cpp", synthetic::parametrisation_table()),
      table("src/optim/optimizer.cpp", optim::optimizer_table()),
      table("src/optim/schedule.cpp", optim::schedule_table()),
      table("src/eval/protocols.cpp", eval::protocols())};
  return all;
}

std::string text_of(const fs::path& file) {
  std::string text;
  for (const std::string& line : lines_of(file)) text += line + "\n";
  return text;
}

TEST(Tables, HoldEachNameOnce) {
  for (const Table& table : tables()) {
    std::set<std::string> names;
    for (const std::string& name : table.names)
      EXPECT_TRUE(names.insert(name).second) << table.file << " has '" << name << "' twice";
    EXPECT_GT(names.size(), 3U) << table.file;
  }
}

/// What a file may compare with a name of a table, for a reason that no new entry shares.
const std::map<std::string, std::set<std::string>>& exceptions() {
  static const std::map<std::string, std::set<std::string>> all = {
      // Pixels are what a set is of where nothing is stored in their place.
      {"src/cli/continual_command.cpp", {"pixels"}},
      {"src/cli/continual_settings.cpp", {"pixels", "memories"}},
      {"src/methods/descending.cpp", {"pixels"}},
      {"src/methods/distillation.cpp", {"pixels", "constant"}},
      {"src/methods/outer_loop.cpp", {"pixels"}},
      {"src/report/run_page.cpp", {"pixels"}},
      // The words of an error.
      {"src/synthetic/recall.cpp", {"memories"}},
      // Files written before their labels were described.
      {"src/synthetic/bundle.cpp", {"frepo", "kip", "bptt"}},
      // Only random choices look at no network.
      {"src/methods/run_under_way.cpp", {"random"}},
      // A subject of an evaluation is called so too.
      {"src/report/evaluations.cpp", {"random"}},
      // What a published protocol says of one method and its networks.
      {"src/eval/post_training_protocols.cpp", {"rded", "vgg11", "alexnet"}},
      {"src/nets/arch/make_network.cpp", {"convnet"}},
      // Curves that mean more than a rate: a run may grow, the momentum is reset.
      {"src/methods/run_folder.cpp", {"constant"}},
      {"src/train/learning_rate.cpp", {"drop"}},
      // A format of files, not the reader.
      {"src/synthetic/export.cpp", {"npz"}},
      // The one optimizer with momentum alone.
      {"src/cli/descriptions.cpp", {"sgd"}},
      {"src/train/trainer.cpp", {"sgd"}}};
  return all;
}

TEST(Tables, NothingElseDecidesByTheirNames) {
  std::set<std::string> names;
  for (const Table& table : tables()) names.insert(table.names.begin(), table.names.end());
  std::map<std::string, std::set<std::string>> found;
  for (const fs::path& file : files_under({"src"})) {
    const std::string text = text_of(file);
    for (size_t at = text.find("= \""); at != std::string::npos; at = text.find("= \"", at + 1)) {
      if (at == 0 || (text[at - 1] != '=' && text[at - 1] != '!')) continue;
      const size_t begin = at + 3;
      const std::string name = text.substr(begin, text.find('"', begin) - begin);
      if (names.contains(name)) found[file.string()].insert(name);
    }
  }
  EXPECT_EQ(found, exceptions());
}

/// A cell of the page is what `retort describe` says.
TEST(Tables, PageOnScaleSaysWhatProcessesShareOfEachMethod) {
  const std::vector<std::string> page = lines_of("docs/scale.md");
  std::set<std::string> named;
  for (const methods::Division& row : methods::divisions()) {
    std::string line = "|";
    for (const std::string& name : row.methods) {
      EXPECT_TRUE(named.insert(name).second) << name << " stands in two rows";
      line += (line == "|" ? " `" : ", `") + name + "`";
    }
    for (const std::string& cell : {row.shared, row.crosses, row.rest})
      line += " | " + (cell.empty() ? "nothing" : cell);
    EXPECT_EQ(std::count(page.begin(), page.end(), line + " |"), 1)
        << "docs/scale.md needs the row\n"
        << line << " |";
  }
  for (const methods::MethodEntry& entry : methods::method_table())
    EXPECT_TRUE(named.erase(entry.name))
        << entry.name << " needs a row in src/methods/division.cpp";
  EXPECT_TRUE(named.empty()) << *named.begin() << " is no method";
}

TEST(Tables, PageOnExtendingNamesTheirFiles) {
  const std::string page = text_of("docs/extending.md");
  for (const Table& table : tables())
    EXPECT_NE(page.find("`" + table.file.string() + "`"), std::string::npos) << table.file;
  const std::regex path("`((src|tests|docs)/[a-z0-9_/]+\\.(cpp|h|md))`");
  for (std::sregex_iterator at(page.begin(), page.end(), path), end; at != end; ++at) {
    const bool of_an_example = page.find("`" + at->str(1) + "`:\n\n```cpp") != std::string::npos;
    EXPECT_TRUE(of_an_example || fs::exists(source_root() / at->str(1))) << at->str(1);
  }
}

}  // namespace
}  // namespace retort::tests
