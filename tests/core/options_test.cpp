#include "retort/core/options.h"

#include <gtest/gtest.h>

#include "core/limits.h"
#include "retort/core/error.h"
#include "support/support.h"

namespace retort {
namespace {

struct Fields {
  int64_t iterations = 500;
  double rate = 1.0;
  bool zca = false;
  std::string init = "real";
  std::vector<std::string> networks = {"convnet"};
  OptionSet set;
  Fields() {
    set.add("iterations", iterations, "outer iterations", {.min = 1});
    set.add("image_learning_rate", rate, "rate", {.min = 0});
    set.add("zca", zca, "whitening");
    set.add("initialisation", init, "start", {.choices = {"real", "noise"}});
    set.add("networks", networks, "networks");
  }
};

TEST(Options, AreSetFromText) {
  Fields f;
  Problems problems;
  f.set.set("iterations", "20", "--iterations", problems);
  f.set.set("image-learning-rate", "1e-3", "flag", problems);
  f.set.set("zca", "true", "flag", problems);
  f.set.set("initialisation", "noise", "flag", problems);
  f.set.set("networks", "convnet, resnet18", "flag", problems);
  EXPECT_TRUE(problems.empty());
  EXPECT_EQ(f.iterations, 20);
  EXPECT_DOUBLE_EQ(f.rate, 1e-3);
  EXPECT_TRUE(f.zca);
  EXPECT_EQ(f.init, "noise");
  EXPECT_EQ(f.networks, (std::vector<std::string>{"convnet", "resnet18"}));
}

TEST(Options, ReportAllProblemsAtOnce) {
  Fields f;
  Problems problems;
  f.set.set("iteratons", "20", "--iteratons", problems);
  f.set.set("iterations", "0", "--iterations", problems);
  f.set.set("iterations", "3.5", "--iterations", problems);
  f.set.set("image_learning_rate", "nan", "--image-learning-rate", problems);
  f.set.set("initialisation", "reel", "--initialisation", problems);
  EXPECT_EQ(problems.all().size(), 5U);
  tests::expect_error<ConfigError>([&] { problems.raise("reading the options"); },
                                   {"5 problems", "did you mean 'iterations'?",
                                    "an integer of at least 1 and at most 2147483647",
                                    "one of real, noise", "did you mean 'real'?"});
}

TEST(Options, EveryNumberHasALargestValue) {
  Fields f;
  int64_t seed = 0, whole = 0;
  f.set.add("seed", seed, "", {.min = 0, .max = kLargestSeed});
  f.set.add("whole", whole, "");
  const std::vector<std::pair<std::string, std::string>> refused{
      {"iterations", "2147483648"},
      {"iterations", "9223372036854775807"},
      {"iterations", "9223372036854775808"},
      {"iterations", "-9223372036854775808"},
      {"whole", "-2147483648"},
      {"seed", "1000000000000001000"},
      {"seed", "18446744073709551616"},
      {"image_learning_rate", "1.1e30"},
      {"image_learning_rate", "1e39"},
      {"image_learning_rate", "1e400"},
      {"image_learning_rate", "inf"},
      {"image_learning_rate", "-nan"},
      {"image_learning_rate", ""},
      {"iterations", ""}};
  for (const auto& [name, text] : refused) {
    Problems problems;
    f.set.set(name, text, "flag", problems);
    EXPECT_EQ(problems.all().size(), 1U) << name << " = " << text;
  }
  Problems none;
  f.set.set("iterations", "2147483647", "flag", none);
  f.set.set("whole", "-2147483647", "flag", none);
  f.set.set("seed", "1000000000000000000", "flag", none);
  f.set.set("image_learning_rate", "1e30", "flag", none);
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(f.iterations, 2147483647);
  EXPECT_EQ(seed, 1000000000000000000);
}

TEST(Options, TakeYesAndNoInEverySpelling) {
  Fields f;
  for (const auto& [text, value] : std::vector<std::pair<std::string, bool>>{{"yes", true},
                                                                             {"no", false},
                                                                             {"on", true},
                                                                             {"off", false},
                                                                             {"true", true},
                                                                             {"false", false},
                                                                             {"1", true},
                                                                             {"0", false}}) {
    Problems problems;
    f.zca = !value;
    f.set.set("zca", text, "--zca", problems);
    EXPECT_TRUE(problems.empty()) << text;
    EXPECT_EQ(f.zca, value) << text;
  }
  Problems problems;
  f.set.set("zca", "maybe", "--zca", problems);
  tests::expect_error<ConfigError>([&] { problems.raise("reading"); }, {"'maybe'", "yes or no"});
}

TEST(Options, SurviveTomlAndBack) {
  Fields f;
  f.init = "noise";
  f.networks = {"a", "b"};
  f.rate = 1e-5;
  tests::TempFolder folder;
  tests::write_text(folder / "r.toml", f.set.toml());
  Fields g;
  Problems problems;
  g.set.read_toml((folder / "r.toml").string(), problems);
  EXPECT_TRUE(problems.empty());
  EXPECT_EQ(g.set.toml(), f.set.toml());
}

TEST(Options, TomlErrorsNameTheLine) {
  tests::TempFolder folder;
  tests::write_text(folder / "r.toml", "seed = 1\nbroken = = 2\n");
  tests::expect_error<DataError>([&] { read_flat_toml((folder / "r.toml").string()); },
                                 {"r.toml", "line 2"});
  tests::write_text(folder / "t.toml", "[table]\nseed = 1\n");
  tests::expect_error<DataError>([&] { read_flat_toml((folder / "t.toml").string()); },
                                 {"'table'"});
  for (const char* header : {"[#a]\n", "[\1a]\n", "[ =]\n"})
    tests::expect_error<DataError>([&] { parse_flat_toml(header, "h.toml"); }, {"h.toml"});
}

}  // namespace
}  // namespace retort
