// How long files and functions may be, and how many parameters these may have.
#include <gtest/gtest.h>

#include "structure/code.h"
#include "structure/sources.h"
#include "support/support.h"

namespace retort::tests {
namespace {

namespace fs = std::filesystem;

constexpr size_t kFileLines = 300;
constexpr int kFunctionLines = 60, kParameters = 8;

bool is_code(const fs::path& file) {
  return file.extension() == ".h" || file.extension() == ".cpp";
}

/// True where the comment that a file opens with has a sentence that begins with "Long:".
bool gives_a_reason(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    if (!line.starts_with("//")) return false;
    if (line.find("Long: ") != std::string::npos) return true;
  }
  return false;
}

TEST(Measures, FilesThatAreLongSayWhy) {
  for (const fs::path& file : files_under({"src", "include"})) {
    const auto lines = lines_of(file);
    if (!is_code(file) || lines.size() <= kFileLines) continue;
    EXPECT_TRUE(gives_a_reason(lines))
        << file << " has " << lines.size()
        << " lines: split it, or begin a sentence of its opening comment with 'Long: '";
  }
}

TEST(Measures, FunctionsAreShort) {
  int seen = 0;
  for (const fs::path& file : files_under({"src", "include"})) {
    if (!is_code(file)) continue;
    for (const Function& function : functions_in(read_text(source_root() / file))) {
      ++seen;
      EXPECT_LE(function.lines, kFunctionLines)
          << file << ':' << function.line << ' ' << function.name;
      EXPECT_LE(function.parameters, kParameters)
          << file << ':' << function.line << ' ' << function.name;
    }
  }
  EXPECT_GT(seen, 2000);
}

TEST(Measures, AreTakenOfFunctionsAlone) {
  const auto found = functions_in(R"code(
namespace a {
// int comment(int a) { }
constexpr int kTable[] = {1, 2, (3)};
struct S {
  explicit S(int x) : x_{x}, y_(2) {
    if (x > 0) { call(x); }
  }
  int x_ = 1, y_ = 0;
};
template <class T>
void three(const std::map<int, T>& a, int b = f(1, 2),
           std::function<void(int, int)> c = {}) {
  const char* brace = "{";
}
const char quote = '"';
int none() { return 1'000; }
}  // namespace a
)code");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].lines, 3);
  EXPECT_EQ(found[0].parameters, 1);
  EXPECT_EQ(found[1].line, 11);
  EXPECT_EQ(found[1].lines, 5);
  EXPECT_EQ(found[1].parameters, 3);
  EXPECT_EQ(found[2].lines, 1);
  EXPECT_EQ(found[2].parameters, 0);
}

}  // namespace
}  // namespace retort::tests
