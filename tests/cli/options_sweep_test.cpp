// Every option of every command with numbers at their edges: taken, or refused with one message
// before anything is on disk.
#include <gtest/gtest.h>

#include <functional>
#include <sstream>

#include "cli/command.h"
#include "cli/refusal.h"
#include "cli/small_data.h"
#include "continual/continual.h"
#include "core/limits.h"
#include "retort/methods/method.h"
#include "retort/synthetic/parametrisation.h"
#include "support/support.h"

namespace retort::cli {
namespace {

using tests::TempFolder;

/// Command lines that between them declare every option there is.
std::vector<std::pair<const Command*, Arguments>> lines() {
  std::vector<std::pair<const Command*, Arguments>> all;
  for (const Command& command : command_table()) {
    all.push_back({&command, {}});
    if (command.name == "study") all.push_back({&command, {"bn-statistics"}});
    if (command.name == "continual")
      for (const auto& kind : continual::stream_kinds())
        all.push_back({&command, {"--stream=" + kind.name}});
    if (command.name != "distill") continue;
    for (const auto& method : methods::method_table())
      all.push_back({&command, {"--method=" + method.name}});
    for (const auto& kind : synthetic::parametrisation_table())
      all.push_back({&command, {"--parametrisation=" + kind.name}});
  }
  return all;
}

void for_each_line(const std::function<void(const Command&, const Arguments&, OptionSet&)>& look) {
  for (const auto& [command, line] : lines()) {
    std::ostringstream out, err;
    Environment environment{out, err};
    bool asked = false;
    environment.survey = [&](OptionSet& options, const std::vector<Positional>&) {
      asked = true;
      look(*command, line, options);
    };
    EXPECT_EQ(command->run(environment, line), 0) << command->name;
    EXPECT_TRUE(asked) << command->name;
    EXPECT_EQ(out.str() + err.str(), "") << command->name;
  }
}

const std::vector<std::string>& edges() {
  static const std::vector<std::string> kEdges{"0",
                                               "-1",
                                               "1.5",
                                               "2147483647",
                                               "2147483648",
                                               "-2147483648",
                                               "9223372036854775807",
                                               "9223372036854775808",
                                               "-9223372036854775809",
                                               "18446744073709551616",
                                               "1e30",
                                               "1e38",
                                               "1e39",
                                               "-1e39",
                                               "1e-400",
                                               "1e400",
                                               "nan",
                                               "inf",
                                               "-inf",
                                               "0x10",
                                               "1 ",
                                               "",
                                               "maybe"};
  return kEdges;
}

TEST(OptionSweep, EveryNumberHasBoundsAndADefaultWithinThem) {
  int64_t numbers = 0;
  for_each_line([&](const Command& command, const Arguments&, OptionSet& options) {
    for (const Option& option : options.all()) {
      SCOPED_TRACE(command.name + " " + option.flag());
      const std::string type = option.type_name();
      if (type != "integer" && type != "number") continue;
      ++numbers;
      const bool seed = option.name.ends_with("seed");
      const double largest = type == "number" ? kLargestReal : seed ? kLargestSeed : kLargestWhole;
      EXPECT_LE(option.limits.max, largest);
      EXPECT_GE(option.limits.min, -largest);
      Problems problems;
      options.set(option.name, option.default_text, "default", problems);
      EXPECT_EQ(problems.all(), std::vector<std::string>());
    }
  });
  EXPECT_GT(numbers, 500);
}

TEST(OptionSweep, WhatAnOptionDoesNotTakeIsRefusedWithOneMessage) {
  TempFolder folder;
  const std::string out = (folder / "out").string();
  int64_t refused = 0;
  for_each_line([&](const Command& command, const Arguments& line, OptionSet& options) {
    for (const Option& option : options.all()) {
      const std::string type = option.type_name();
      if (type == "text" || type == "list") continue;
      for (const std::string& text : edges()) {
        Problems problems;
        options.set(option.name, text, option.flag(), problems);
        if (problems.empty()) continue;
        SCOPED_TRACE(command.name + " " + option.flag() + "=" + text);
        ASSERT_EQ(problems.all().size(), 1U);
        EXPECT_TRUE(problems.all()[0].starts_with(option.flag() + ": '" + text + "'"));
        // One spelling of each kind goes through the whole program.
        if (text != "9223372036854775807" && text != "1e39" && text != "maybe" && text != "")
          continue;
        Arguments whole{command.name};
        whole.insert(whole.end(), line.begin(), line.end());
        whole.push_back(option.flag() + "=" + text);
        if (options.find("out")) whole.push_back("--out=" + out);
        const tests::Answer answer = tests::call(whole);
        EXPECT_EQ(answer.code, 2) << answer.err;
        EXPECT_NE(answer.err.find(option.flag()), std::string::npos) << answer.err;
        EXPECT_EQ(answer.err.find("defect"), std::string::npos) << answer.err;
        ++refused;
      }
    }
  });
  EXPECT_GT(refused, 1000);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(OptionSweep, AFlagTakesYesOrNoBehindItOrWithASign) {
  TempFolder folder;
  const auto refused = [&](const std::string& line, const std::string& part) {
    tests::expect_refused(folder.path(), tests::words(line), 2, {part});
  };
  refused("data shapes --greyscale=maybe", "--greyscale: 'maybe' is not accepted");
  refused("list --json=x", "--json: 'x' is not accepted");
  refused("list --json=", "--json");
  refused("list --=x", "--");
  refused("list methods networks", "'networks' is one word too many");
  for (const char* yes : {"--json", "--json yes", "--json=on", "--json true", "--json 1"})
    EXPECT_TRUE(tests::call(tests::words("list methods " + std::string(yes))).out.starts_with("{"));
  for (const char* no : {"--json no", "--json=off", "--json false", "--json 0"})
    EXPECT_TRUE(
        tests::call(tests::words("list " + std::string(no) + " methods")).out.starts_with("meth"));
  // A word that is neither stays an argument of the command.
  EXPECT_TRUE(tests::call({"list", "--json", "methods"}).out.starts_with("{"));
}

/// Every option of the loop, of a method and of a parametrisation at both of its ends, in a run of
/// two iterations that reads its numbers.
void expect_ends_are_survived(const std::string& method, const std::string& parametrisation) {
  TempFolder folder;
  tests::write_small_data(folder / "data");
  const Arguments base{"distill",
                       "--method=" + method,
                       "--parametrisation=" + parametrisation,
                       "--data=" + (folder / "data").string(),
                       "--resolution=8",
                       "--images-per-class=1",
                       "--network=convnet-w4-d1",
                       "--iterations=2",
                       "--threads=1"};
  std::ostringstream out, err;
  Environment environment{out, err};
  std::vector<std::string> ends;
  environment.survey = [&](OptionSet& options, const std::vector<Positional>&) {
    for (const Option& option : options.all()) {
      if (option.type_name() != "number") continue;
      ends.push_back(fmt::format("{}={}", option.flag(), option.limits.min));
      ends.push_back(fmt::format("{}={}", option.flag(), option.limits.max));
    }
  };
  run_distill(environment, {base.begin() + 1, base.end()});
  for (size_t i = 0; i < ends.size(); ++i) {
    Arguments line = base;
    line.push_back(ends[i]);
    if (method == "dm" || method == "dc") line.push_back("--real-batch=4");
    line.push_back("--out=" + (folder / std::to_string(i)).string());
    const tests::Answer answer = tests::call(line);
    EXPECT_NE(answer.code, 1) << ends[i] << answer.err;
    EXPECT_EQ(answer.err.find("defect"), std::string::npos) << ends[i] << answer.err;
  }
}

TEST(OptionSweep, RealNumbersAtTheirEndsAreSurvived) {
  expect_ends_are_survived("dm", "pixels");
  expect_ends_are_survived("dm", "memories");
}

TEST(OptionSweep, ProductsOfSizesAreCheckedBeforeTheyAreFormed) {
  TempFolder folder;
  tests::write_small_data(folder / "data");
  const std::string base = "distill --method dm --data " + (folder / "data").string() +
                           " --images-per-class 1 --network convnet-w4-d1 --iterations 1 "
                           "--real-batch 4 --out " +
                           (folder / "run").string() + " ";
  for (const char* more :
       {"--parametrisation multiformation --factor 2147483647",
        "--parametrisation memories --bases 2147483647",
        "--parametrisation memories --addressers 2147483647",
        "--parametrisation memories --downsample 2147483647",
        "--parametrisation frequency --frequencies 2147483647", "--images-per-class 2147483647",
        "--images-per-class 9223372036854775807", "--images-per-class proportional:9e18"}) {
    SCOPED_TRACE(more);
    const tests::Answer answer = tests::call(tests::words(base + more));
    EXPECT_NE(answer.code, 0);
    EXPECT_NE(answer.code, 1) << answer.err;
    EXPECT_FALSE(std::filesystem::exists(folder / "run")) << answer.err;
  }
}

}  // namespace
}  // namespace retort::cli
