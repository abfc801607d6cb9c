// What every registered method must do; a new line in the registry is checked by being there.
#include <gtest/gtest.h>

#include "core/file.h"
#include "methods/division.h"
#include "methods/toy_run.h"
#include "retort/core/error.h"
#include "retort/data/image_file.h"
#include "support/device.h"
#include "support/support.h"
#include "support/thread_group.h"

namespace retort::methods {
namespace {

using tests::TempFolder;
using tests::ToyRun;

class EveryMethod : public testing::TestWithParam<std::string> {
 protected:
  const MethodEntry& entry() const {
    return find_entry(std::span(method_table()), "method", GetParam());
  }
};

TEST_P(EveryMethod, GivesAFiniteSetOfTheAskedShape) {
  TempFolder folder;
  ToyRun toy(entry());
  const DistillOutcome outcome = toy.run(folder / "run");
  EXPECT_EQ(outcome.bundle.images.sizes(), at::IntArrayRef({6, 3, 8, 8}));
  EXPECT_TRUE(at::isfinite(outcome.bundle.images).all().item<bool>());
  EXPECT_EQ(outcome.bundle.counts(), (std::vector<int64_t>{2, 2, 2}));
  EXPECT_NEAR(outcome.bundle.images_per_class_equivalents(), 2, 0.1);
  EXPECT_TRUE(std::filesystem::exists(folder / "run" / "distilled.safetensors"));
}

TEST_P(EveryMethod, SameSeedGivesTheSameBytes) {
  TempFolder folder;
  ToyRun(entry()).run(folder / "a");
  ToyRun(entry()).run(folder / "b");
  EXPECT_EQ(read_file(folder / "a" / "distilled.safetensors"),
            read_file(folder / "b" / "distilled.safetensors"));
}

TEST_P(EveryMethod, AnotherSeedGivesAnotherSet) {
  TempFolder folder;
  ToyRun first(entry()), second(entry());
  second.options.seed = 1;
  EXPECT_FALSE(first.run(folder / "a").bundle.images.equal(second.run(folder / "b").bundle.images));
}

TEST_P(EveryMethod, StoppedAndResumedEqualsStraight) {
  TempFolder folder;
  ToyRun(entry()).run(folder / "straight");
  ToyRun stopped(entry());
  stopped.stop.request();
  const DistillOutcome outcome = stopped.run(folder / "resumed");
  for (int i = 0; i < 3 && outcome.stopped; ++i) {
    ToyRun again(entry());
    again.stop.request();
    again.run(folder / "resumed");
  }
  ToyRun(entry()).run(folder / "resumed");
  // Methods that put a set together in one go keep no checkpoint.
  std::vector<std::string> names{"distilled.safetensors"};
  if (data::png_available()) names.emplace_back("images/final.png");
  if (outcome.stopped) names.emplace_back("checkpoint.safetensors");
  for (const std::string& name : names) {
    ASSERT_TRUE(std::filesystem::exists(folder / "straight" / name)) << name;
    EXPECT_EQ(read_file(folder / "straight" / name), read_file(folder / "resumed" / name)) << name;
  }
  EXPECT_EQ(outcome.stopped, std::filesystem::exists(folder / "straight/checkpoint.safetensors"));
}

/// Whatever crosses for the sake of a share is larger than what agrees on a stop.
constexpr int64_t kLeastShared = 8;

TEST_P(EveryMethod, SeveralProcessesGiveTheBytesOfOneAndShareWhatTheTableSays) {
  TempFolder folder;
  const auto run = [&](const std::string& out, const ProcessGroup& group) {
    ToyRun toy(entry());
    Problems problems;
    if (toy.set.find("trajectories_per_step"))
      toy.set.set("trajectories_per_step", "3", "test", problems);
    toy.run(folder / out, group);
  };
  run("one", ProcessGroup::alone());
  for (const int64_t count : {2, 4}) {
    const std::string out = std::to_string(count);
    const int64_t most =
        tests::in_threads(count, [&](const ProcessGroup& group) { run(out, group); });
    EXPECT_EQ(most >= kLeastShared, !division_of(GetParam()).shared.empty());
    for (const char* name : {"distilled.safetensors", "checkpoint.safetensors"}) {
      if (!std::filesystem::exists(folder / "one" / name)) continue;
      EXPECT_TRUE(read_file(folder / "one" / name) == read_file(folder / out / name)) << name;
    }
  }
}

TEST_P(EveryMethod, UnequalCountsAreAllowed) {
  TempFolder folder;
  tests::write_text(folder / "counts", "class0=1\nclass1=3\nclass2=2\n");
  ToyRun toy(entry());
  toy.options.images_per_class = (folder / "counts").string();
  EXPECT_EQ(toy.run(folder / "run").bundle.counts(), (std::vector<int64_t>{1, 3, 2}));
}

TEST_P(EveryMethod, OptionsSurviveTomlAndUnknownKeysAreRefused) {
  TempFolder folder;
  ToyRun toy(entry());
  tests::write_text(folder / "r.toml", toy.set.toml());
  ToyRun again(entry());
  Problems problems;
  again.set.read_toml((folder / "r.toml").string(), problems);
  EXPECT_TRUE(problems.empty());
  EXPECT_EQ(again.set.toml(), toy.set.toml());
  again.set.set("iteration", "3", "--iteration", problems);
  tests::expect_error<ConfigError>([&] { problems.raise("test"); }, {"did you mean 'iterations'?"});
}

std::vector<std::string> every_name() {
  std::vector<std::string> names;
  for (const MethodEntry& entry : method_table()) names.push_back(entry.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(Methods, EveryMethod, testing::ValuesIn(every_name()),
                         [](const auto& param_info) { return param_info.param; });

// Every method with every parametrisation.

class EveryPair : public testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  const MethodEntry& entry() const {
    return find_entry(std::span(method_table()), "method", std::get<0>(GetParam()));
  }
  ToyRun toy(int64_t iterations) const { return ToyRun(entry(), iterations, parametrisation()); }
  std::string parametrisation() const { return std::get<1>(GetParam()); }
};

TEST_P(EveryPair, TakesStepsThatMoveEveryGroupOrSaysWhyNot) {
  TempFolder folder;
  ToyRun three = toy(3), none = toy(0);
  const synthetic::SetLayout layout{{2, 2, 2}, 3, 8, 8};
  const auto network = nets::make_network(three.options.network, {3, 8, 8, 3});
  if (three.experiment.method().selector(
          {three.data, *network, layout, "none", 0, tests::device()})) {
    tests::expect_error<ConfigError>([&] { three.run(folder / "run"); },
                                     {"chooses real images", "--parametrisation pixels"});
    return;
  }
  const synthetic::Bundle end = three.run(folder / "run").bundle;
  const synthetic::Bundle start = none.run(folder / "start").bundle;
  EXPECT_TRUE(at::isfinite(end.images).all().item<bool>());
  EXPECT_EQ(end.stored_bytes(), end.storage_bytes);
  for (const auto& [name, tensor] : end.compact)
    EXPECT_EQ(tensor.equal(start.compact.at(name)), name == "frequencies") << name;
}

std::vector<std::string> compact_names() {
  std::vector<std::string> names;
  for (const auto& entry : synthetic::parametrisation_table())
    if (entry.name != "pixels") names.push_back(entry.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(Pairs, EveryPair,
                         testing::Combine(testing::ValuesIn(every_name()),
                                          testing::ValuesIn(compact_names())),
                         [](const auto& param_info) {
                           return std::get<0>(param_info.param) + "_" +
                                  std::get<1>(param_info.param);
                         });

class EveryParametrisation : public testing::TestWithParam<std::string> {
 protected:
  ToyRun toy(int64_t iterations = 4) const {
    return ToyRun(find_entry(std::span(method_table()), "method", "dm"), iterations, GetParam());
  }
};

TEST_P(EveryParametrisation, StoppedAndResumedEqualsStraight) {
  TempFolder folder;
  toy().run(folder / "straight");
  ToyRun stopped = toy();
  stopped.stop.request();
  EXPECT_TRUE(stopped.run(folder / "resumed").stopped);
  toy().run(folder / "resumed");
  for (const char* name : {"distilled.safetensors", "checkpoint.safetensors"})
    EXPECT_EQ(read_file(folder / "straight" / name), read_file(folder / "resumed" / name)) << name;
}

TEST_P(EveryParametrisation, GoesOnFromABundleOfItsKindExactly) {
  TempFolder folder;
  const synthetic::Bundle first = toy().run(folder / "a").bundle;
  ToyRun second = toy(0);
  second.options.init_from = (folder / "a" / "distilled.safetensors").string();
  second.options.seed = 5;
  const synthetic::Bundle again = second.run(folder / "b").bundle;
  EXPECT_TRUE(again.images.equal(first.images));
  ASSERT_EQ(again.compact.size(), first.compact.size());
  for (const auto& [name, tensor] : first.compact)
    EXPECT_TRUE(tensor.equal(again.compact.at(name))) << name;
}

TEST_P(EveryParametrisation, UnequalCountsWorkOrAreRefusedWithAReason) {
  TempFolder folder;
  tests::write_text(folder / "counts", "class0=1\nclass1=3\nclass2=2\n");
  ToyRun unequal = toy();
  unequal.options.images_per_class = (folder / "counts").string();
  if (GetParam() == "memories") {
    tests::expect_error<ConfigError>([&] { unequal.run(folder / "run"); },
                                     {"different numbers of images", "--parametrisation"});
    return;
  }
  const auto counts = unequal.run(folder / "run").bundle.counts();
  EXPECT_LT(counts[0], counts[2]);
  EXPECT_LT(counts[2], counts[1]);
}

TEST_P(EveryParametrisation, StoresNoMoreThanTheBudgetAndItsMask) {
  TempFolder folder;
  const synthetic::Bundle bundle = toy(0).run(folder / "run").bundle;
  EXPECT_LT(bundle.images_per_class_equivalents(), 2.25);
  EXPECT_EQ(std::filesystem::exists(folder / "run/images/bases.png"),
            data::png_available() && GetParam() == "memories");
}

std::vector<std::string> every_parametrisation() {
  std::vector<std::string> names = compact_names();
  names.push_back("pixels");
  return names;
}
INSTANTIATE_TEST_SUITE_P(Parametrisations, EveryParametrisation,
                         testing::ValuesIn(every_parametrisation()),
                         [](const auto& param_info) { return param_info.param; });

TEST(Distill, MemoriesTakeImagesOfABundleOnlyWhereTheyStartFromImages) {
  TempFolder folder;
  const MethodEntry& dm = find_entry(std::span(method_table()), "method", "dm");
  ToyRun pixels(dm, 1);
  pixels.options.images_per_class = "3";
  pixels.run(folder / "a");
  for (const bool images : {false, true}) {
    ToyRun memories(dm, 0, "memories");
    memories.options.init_from = (folder / "a" / "distilled.safetensors").string();
    Problems problems;
    if (images) memories.set.set("memory_start", "images", "toy", problems);
    if (images)
      EXPECT_EQ(memories.run(folder / "c").bundle.parametrisation, "memories");
    else
      tests::expect_error<StateError>([&] { memories.run(folder / "b"); },
                                      {"'pixels'", "random numbers"});
  }
}

}  // namespace
}  // namespace retort::methods
