// Names and wording that hold over the whole project.
#include <gtest/gtest.h>

#include "structure/sources.h"
#include "support/support.h"

namespace retort::tests {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kFolders = {"src",  "include",    "tests", "examples", "recipes",
                                           "docs", "benchmarks", "cmake", "scripts"};

bool is_text(const fs::path& file) {
  const std::string extension = file.extension();
  for (const char* known : {".h", ".cpp", ".md", ".txt", ".cmake", ".py", ".sh", ".toml", ".in"})
    if (extension == known) return true;
  return false;
}

std::vector<fs::path> text_files() {
  std::vector<fs::path> files;
  for (const fs::path& file : files_under(kFolders))
    if (is_text(file)) files.push_back(file);
  for (const char* name : {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile",
                           "CMakeLists.txt", "CMakePresets.json"})
    if (fs::exists(source_root() / name)) files.push_back(name);
  return files;
}

TEST(Names, NothingIsCalledUtilsOrCommonOrMisc) {
  for (const fs::path& file : files_under(kFolders))
    for (const fs::path& part : file)
      for (const char* word : {"util", "utils", "common", "misc", "helper", "helpers"})
        EXPECT_NE(part.stem(), word) << file;
}

TEST(Names, SourcesAreSnakeCase) {
  const std::regex snake("[a-z0-9_]+\\.(h|cpp)");
  for (const fs::path& file : files_under({"src", "include", "tests", "examples", "benchmarks"}))
    if (file.extension() == ".h" || file.extension() == ".cpp") {
      EXPECT_TRUE(std::regex_match(file.filename().string(), snake)) << file;
    }
}

TEST(Names, TestsMirrorTheFoldersOfTheSources) {
  for (const fs::path& file : files_under({"tests"})) {
    if (file.extension() != ".cpp" || !file.stem().string().ends_with("_test")) continue;
    const std::string folder = *std::next(file.begin());
    const bool of_the_whole = folder == "structure" || folder == "device";
    EXPECT_TRUE(of_the_whole || fs::exists(source_root() / "src" / folder)) << file;
  }
}

TEST(Wording, NoFileNamesAPlaceOnOneMachine) {
  // Written in two parts, so that this file passes its own test.
  const std::vector<std::string> places = {
      "/ho"
      "me/",
      "/ro"
      "ot/",
      "/wo"
      "rk/",
      "/Use"
      "rs/"};
  for (const fs::path& file : text_files()) {
    const auto lines = lines_of(file);
    for (size_t i = 0; i < lines.size(); ++i)
      for (const std::string& place : places)
        EXPECT_EQ(lines[i].find(place), std::string::npos) << file << ':' << i + 1;
  }
}

TEST(Figures, NameFilesThatAreThere) {
  const std::regex path("(src|include|recipes|docs)/[A-Za-z0-9_./]*");
  int seen = 0;
  for (const char* figure : {"rooms", "real_image", "synthetic_image", "option"}) {
    const fs::path file = fs::path("docs/figures") / (std::string(figure) + ".svg");
    const std::string text = read_text(source_root() / file);
    for (std::sregex_iterator at(text.begin(), text.end(), path), end; at != end; ++at, ++seen)
      EXPECT_TRUE(fs::exists(source_root() / at->str())) << file << " names " << at->str();
  }
  EXPECT_GT(seen, 40);
}

TEST(Headers, AreGuardedAndOpenNoNamespace) {
  for (const fs::path& file : files_under({"src", "include"})) {
    if (file.extension() != ".h") continue;
    const auto lines = lines_of(file);
    bool guarded = false, opens_namespace = false;
    for (const std::string& line : lines) {
      // Highway's own files are read once for every instruction set.
      guarded =
          guarded || line == "#pragma once" || line.ends_with("== defined(HWY_TARGET_TOGGLE)");
      opens_namespace = opens_namespace || line.starts_with("using namespace");
    }
    EXPECT_TRUE(guarded) << file;
    EXPECT_FALSE(opens_namespace) << file;
  }
}

}  // namespace
}  // namespace retort::tests
