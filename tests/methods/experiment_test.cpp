// An experiment as a program that embeds the library calls it.
#include "retort/methods/experiment.h"

#include <gtest/gtest.h>

#include "core/file.h"
#include "methods/toy.h"
#include "retort/core/error.h"
#include "support/support.h"

namespace retort::methods {
namespace {

using tests::TempFolder;

/// Two steps of DM on toy data.
Experiment toy(const std::string& parametrisation = "pixels") {
  Experiment experiment("dm", parametrisation);
  experiment.set({{"network", "convnet-w4-d2"},
                  {"images_per_class", "2"},
                  {"iterations", "2"},
                  {"real_batch", "5"},
                  {"record_every", "1"},
                  {"checkpoint_every", "1"}});
  return experiment;
}

TEST(Experiment, LeavesABundleAndARunFolder) {
  TempFolder folder;
  const DistillOutcome outcome = toy().run(tests::toy_dataset(), folder / "run");
  EXPECT_EQ(outcome.iteration, 2);
  EXPECT_FALSE(outcome.was_finished);
  const auto kept = synthetic::load_bundle(folder / "run" / "distilled.safetensors");
  EXPECT_TRUE(kept.images.equal(outcome.bundle.images));
  for (const char* name : {"recipe.toml", "records.jsonl", "checkpoint.safetensors"})
    EXPECT_TRUE(std::filesystem::exists(folder / "run" / name)) << name;
}

TEST(Experiment, GoesOnWhereItWasStoppedAndFindsWhatIsFinished) {
  TempFolder folder;
  const data::Dataset data = tests::toy_dataset();
  toy().run(data, folder / "straight");
  StopFlag stop;
  stop.request();
  RunSettings how;
  how.stop = &stop;
  EXPECT_TRUE(toy().run(data, folder / "run", how).stopped);
  EXPECT_FALSE(std::filesystem::exists(folder / "run" / "distilled.safetensors"));
  EXPECT_EQ(toy().run(data, folder / "run").iteration, 2);
  EXPECT_EQ(read_file(folder / "run" / "distilled.safetensors"),
            read_file(folder / "straight" / "distilled.safetensors"));
  const DistillOutcome again = toy().run(data, folder / "run");
  EXPECT_TRUE(again.was_finished);
  EXPECT_EQ(again.bundle.images.size(0), 6);
}

TEST(Experiment, RefusesEveryWrongOptionAtOnce) {
  Experiment experiment("dm");
  tests::expect_error<ConfigError>(
      [&] {
        experiment.set(
            {{"iteratons", "2"}, {"seed", "-1"}, {"method", "mtt"}, {"iterations", "3"}});
      },
      {"3 problems", "did you mean 'iterations'?", "seed", "make another one for 'mtt'"});
  tests::expect_error<ConfigError>([] { Experiment("dmm"); }, {"there is no method 'dmm'", "dm"});
  tests::expect_error<ConfigError>([] { Experiment("dm", "pixel"); }, {"mean 'pixels'?"});
}

TEST(Experiment, RefusesBeforeAnythingIsOnDisk) {
  TempFolder folder;
  Experiment experiment = toy();
  experiment.set({{"init_from", (folder / "none.safetensors").string()}});
  EXPECT_THROW(experiment.run(tests::toy_dataset(), folder / "run"), Error);
  EXPECT_THROW(experiment.check(tests::toy_dataset()), Error);
  RunSettings how;
  how.begin = [](bool started) {
    EXPECT_FALSE(started);
    throw ConfigError(ErrorMessage{"testing", "not today", {}, {}});
  };
  EXPECT_THROW(toy().run(tests::toy_dataset(), folder / "run", how), ConfigError);
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

TEST(Experiment, TellsWhatHappens) {
  TempFolder folder;
  std::vector<int64_t> iterations;
  std::vector<std::string> kinds, notes;
  RunSettings how;
  how.iteration = [&](int64_t done, double) { iterations.push_back(done); };
  how.record = [&](const Json& record) { kinds.push_back(record.at("kind")); };
  how.note = [&](const std::string& text) { notes.push_back(text); };
  how.validate = [](const synthetic::Bundle& set) { return Json{{"images", set.images.size(0)}}; };
  Experiment experiment = toy();
  experiment.set({{"validate_every", "1"}});
  data::Dataset data = tests::toy_dataset();
  tests::expect_error<ConfigError>([&] { experiment.run(data, folder / "run", how); },
                                   {"the validation part", "it is empty"});
  data.validation = data.test;
  data.notes = {"a note on the data"};
  experiment.run(data, folder / "run", how);
  EXPECT_EQ(iterations, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(kinds, (std::vector<std::string>{"run", "iteration", "validation", "iteration",
                                             "validation", "finish"}));
  EXPECT_EQ(notes, data.notes);
}

TEST(Experiment, ACopyHasItsOwnOptions) {
  Experiment first = toy("memories");
  first.set({{"bases", "5"}, {"image_learning_rate", "0.1"}});
  Experiment second(first);
  EXPECT_EQ(second.options().toml(), first.options().toml());
  second.set({{"bases", "3"}, {"seed", "4"}});
  EXPECT_EQ(first.options().find("bases")->text(), "5");
  EXPECT_EQ(first.settings().seed, 0);
}

}  // namespace
}  // namespace retort::methods
