// Completion scripts, run by the shells they are for.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "cli/invoke.h"
#include "retort/core/records.h"
#include "support/support.h"

namespace retort {
namespace {

using tests::TempFolder;

/// What a shell prints when it runs `commands` after the script that `retort completion` wrote.
std::string run_shell(const std::string& shell, const std::string& script,
                      const std::string& commands) {
  TempFolder folder;
  tests::write_text(folder / "script", script);
  tests::write_text(folder / "commands",
                    "source " + (folder / "script").string() + "\n" + commands + "\n");
  const std::string line =
      shell + " " + (folder / "commands").string() + " > " + (folder / "out").string() + " 2>&1";
  const int code = std::system(line.c_str());
  const std::string out = tests::read_text(folder / "out");
  EXPECT_EQ(code, 0) << out;
  return out;
}

bool there(const std::string& shell) {
  return std::system(("command -v " + shell + " > /dev/null 2>&1").c_str()) == 0;
}

/// Words that bash offers for the last of `words`; "=" is a word of its own, as bash has it.
std::set<std::string> offered(const std::string& shell, const std::string& words) {
  const std::string script = tests::call({"completion", shell}).out;
  const std::string out = run_shell("bash", script,
                                    "COMP_WORDS=(" + words +
                                        ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
                                        "_retort\nprintf '%s\\n' \"${COMPREPLY[@]}\"");
  std::set<std::string> found;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) found.insert(line);
  return found;
}

bool holds(const std::set<std::string>& words, const std::set<std::string>& some) {
  return std::includes(words.begin(), words.end(), some.begin(), some.end());
}

TEST(Completion, OfBashOffersTheOptionsOfTheCommandAlone) {
  const auto distill = offered("bash", "retort distill --"),
             list = offered("bash", "retort list --");
  EXPECT_TRUE(holds(distill, {"--method", "--bases", "--hessian", "--out", "--memory-limit",
                              "--help", "--statistics-weight", "--shard", "--estimate"}));
  EXPECT_EQ(list, (std::set<std::string>{"--json", "--help"}));
  EXPECT_TRUE(holds(offered("bash", "retort study --"), {"--storage", "--gauge", "--rounds"}));
  EXPECT_TRUE(holds(offered("bash", "retort continual --"), {"--uses", "--memory", "--steps"}));
  EXPECT_TRUE(holds(offered("bash", "retort ex"), {"experts", "export"}));
}

TEST(Completion, OfBashOffersTheValuesOfEveryOptionThatHasSome) {
  EXPECT_TRUE(holds(offered("bash", "retort distill --method ''"), {"dm", "mtt", "rded"}));
  EXPECT_TRUE(holds(offered("bash", "retort continual --method ''"), {"dm", "replay"}));
  EXPECT_EQ(offered("bash", "retort distill --initialisation ''"),
            (std::set<std::string>{"noise", "real"}));
  EXPECT_EQ(offered("bash", "retort distill --initialisation = r"),
            (std::set<std::string>{"real"}));
  EXPECT_EQ(offered("bash", "retort export --format p"), (std::set<std::string>{"png", "pt"}));
  EXPECT_TRUE(holds(offered("bash", "retort eval --protocol ''"), {"dm", "rded"}));
  EXPECT_TRUE(holds(offered("bash", "retort eval --networks con"), {"convnet"}));
  EXPECT_TRUE(holds(offered("bash", "retort describe rd"), {"rded"}));
  EXPECT_TRUE(holds(offered("bash", "retort completion ''"), {"bash", "zsh", "fish"}));
}

/// fish knows two escapes inside single quotes, \\ and \'.
bool quotes_are_closed(const std::string& line) {
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\')
      ++i;
    else if (line[i] == '\'')
      quoted = !quoted;
  }
  return !quoted;
}

TEST(Completion, OfFishClosesEveryQuote) {
  const std::string script = tests::call({"completion", "fish"}).out;
  std::istringstream lines(script);
  int64_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    EXPECT_TRUE(line.starts_with("complete -c retort ")) << line;
    EXPECT_TRUE(quotes_are_closed(line)) << line;
  }
  EXPECT_GT(count, 300);
  EXPECT_NE(script.find("-l initialisation -x -a 'real noise'"), std::string::npos);
}

TEST(Completion, IsReadByFishAndZshWhereTheyAre) {
  if (there("fish")) {
    run_shell("fish", tests::call({"completion", "fish"}).out,
              "complete -C 'retort distill --initialisation ' | grep -q noise");
  }
  if (there("zsh")) run_shell("zsh -f", tests::call({"completion", "zsh"}).out, "whence _retort");
}

TEST(Completion, IsThereAsJsonLikeEveryAnswer) {
  const Json answer = Json::parse(tests::call({"completion", "bash", "--json"}).out);
  EXPECT_EQ(answer.at("script"), tests::call({"completion", "bash"}).out);
}

}  // namespace
}  // namespace retort
