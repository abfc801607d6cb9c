// The life of a run (docs/design.md): what goes on, what is refused, what a folder keeps.
#include <gtest/gtest.h>

#include <map>

#include "core/file.h"
#include "methods/distillation.h"
#include "methods/merge.h"
#include "methods/toy_run.h"
#include "retort/core/error.h"
#include "support/support.h"

namespace retort::methods {
namespace {

using tests::TempFolder;
using tests::ToyRun;

const MethodEntry& dm() {
  return find_entry(std::span(method_table()), "method", "dm");
}

class Shards : public testing::TestWithParam<const char*> {};

TEST_P(Shards, MergedAreTheSetOfOneRun) {
  TempFolder folder;
  const MethodEntry& method = find_entry(std::span(method_table()), "method", GetParam());
  ToyRun(method).run(folder / "whole");
  const auto part = [&](const std::string& shard, const std::string& name) {
    ToyRun run(method);
    Problems problems;
    run.set.set("shard", shard, "toy", problems);
    problems.raise("toy");
    run.run(folder / name);
    return folder / name;
  };
  const auto first = part("0/2", "0"), second = part("1/2", "1");
  const Merged merged = merge_shards({second, first});
  write_merged(merged, first, folder / "merged");
  EXPECT_EQ(read_file(folder / "whole" / "distilled.safetensors"),
            read_file(folder / "merged" / "distilled.safetensors"));
  tests::expect_error<StateError>([&] { merge_shards({first, first}); }, {"the same shard"});
  tests::expect_error<StateError>([&] { merge_shards({first}); }, {"one shard of 2", "one of 1"});
  tests::expect_error<StateError>(
      [&] {
        merge_shards({folder / "whole", first});
      },
      {"one shard of 1", "one of 2"});
  tests::expect_error<StateError>([&] { write_merged(merged, first, folder / "whole"); },
                                  {"holds something already"});
}

INSTANTIATE_TEST_SUITE_P(Methods, Shards, testing::Values("dm", "sre2l"));

TEST(RunFolder, RefusesOtherOptionsNamingTheKeys) {
  TempFolder folder;
  ToyRun(dm()).run(folder / "run");
  ToyRun other(dm());
  other.options.seed = 9;
  other.options.image_learning_rate = 7;
  tests::expect_error<StateError>(
      [&] { other.run(folder / "run"); },
      {"seed: was 0, now 9", "image_learning_rate: was 1.0, now 7.0", "--out"});
}

TEST(RunFolder, MoreIterationsContinueToTheSameBytes) {
  TempFolder folder;
  ToyRun(dm(), 3).run(folder / "run");
  ToyRun(dm(), 5).run(folder / "run");
  ToyRun(dm(), 5).run(folder / "straight");
  for (const char* name : {"distilled.safetensors", "checkpoint.safetensors"})
    EXPECT_EQ(read_file(folder / "run" / name), read_file(folder / "straight" / name)) << name;
  tests::expect_error<StateError>([&] { ToyRun(dm(), 2).run(folder / "run"); },
                                  {"iterations: was 5, now 2"});
}

TEST(RunFolder, ASchedulesIterationsStayAsTheyAre) {
  TempFolder folder;
  ToyRun first(dm(), 3), second(dm(), 5);
  first.options.image_schedule = second.options.image_schedule = "cosine";
  first.run(folder / "run");
  tests::expect_error<StateError>([&] { second.run(folder / "run"); },
                                  {"iterations: was 3, now 5", "the same options."});
}

// Crops that shrink over the run are such a schedule too.
TEST(RunFolder, WhatFollowsAScheduleOfItsOwnStaysAsLong) {
  TempFolder folder;
  const auto run = [&](int64_t iterations, const char* crops) {
    ToyRun toy(find_entry(std::span(method_table()), "method", "sre2l"), iterations);
    toy.options.image_schedule = "constant";
    Problems problems;
    toy.set.set("crop_schedule", crops, "toy", problems);
    toy.run(folder / crops);
  };
  run(2, "fixed");
  run(3, "fixed");
  run(2, "linear");
  tests::expect_error<StateError>([&] { run(3, "linear"); },
                                  {"iterations: was 2, now 3", "the same options."});
}

/// Learns a number by a schedule of its own.
class Scheduled : public Method {
 public:
  explicit Scheduled(std::string schedule) : schedule_(std::move(schedule)) {}
  std::unique_ptr<Objective> objective(const Context&) override {
    return std::make_unique<Learner>(schedule_);
  }

 private:
  class Learner : public Objective {
   public:
    explicit Learner(std::string schedule) : schedule_(std::move(schedule)) {}
    void begin(int64_t, const SyntheticSet&) override {}
    Cotangents evaluate(const SyntheticSet&, int64_t) override { return {}; }
    std::vector<synthetic::ParameterGroup> learned() override {
      return {{.name = "number", .value = at::zeros({1}), .schedule = schedule_}};
    }

   private:
    const std::string schedule_;
  };
  const std::string schedule_;
};

TEST(RunFolder, ARunGrowsUnlessSomethingIsLearnedByASchedule) {
  const ToyRun toy(dm());
  const auto network = nets::make_network("mlp", {3, 8, 8, 3});
  const RunSettings how;
  for (const auto& [schedule, open] : std::map<std::string, bool>{
           {"", true}, {"constant", true}, {"cosine", false}, {"drop", false}}) {
    Scheduled method(schedule);
    const DistillInput input{toy.data,    *network, method,   toy.experiment.parametrisation(),
                             toy.options, "",       at::kCPU, how};
    EXPECT_EQ(Distillation(input, false).open_ended(), open) << schedule;
  }
}

TEST(RunFolder, RefusesAFolderOfOtherThings) {
  TempFolder folder;
  tests::write_text(folder / "run" / "thesis.txt", "words");
  tests::expect_error<StateError>([&] { ToyRun(dm()).run(folder / "run"); }, {"not a run folder"});
  EXPECT_EQ(tests::read_text(folder / "run" / "thesis.txt"), "words");
}

TEST(RunFolder, IsForOneProcessAtATime) {
  TempFolder folder;
  ToyRun toy(dm());
  const RunFolder first(folder / "run", toy.set);
  tests::expect_error<StateError>([&] { RunFolder(folder / "run", toy.set); }, {"another process"});
}

TEST(Distill, RefusesACheckpointOfOtherData) {
  TempFolder folder;
  ToyRun toy(dm());
  toy.run(folder / "run");
  ToyRun other(dm(), 6);
  other.data = tests::toy_dataset(3, 11);
  tests::expect_error<StateError>([&] { other.run(folder / "run"); }, {"other data"});
}

TEST(Distill, ALossThatIsNotFiniteKeepsTheLastCheckpoint) {
  TempFolder folder;
  ToyRun toy(dm(), 50);
  toy.options.network = "convnet-w4-d2-nonorm";  // a norm would hide the size
  toy.options.image_learning_rate = 1e30;
  tests::expect_error<StateError>([&] { toy.run(folder / "run"); },
                                  {"iteration", "--image-learning-rate"});
  const TensorFile kept = load_tensors(folder / "run" / "checkpoint.safetensors");
  EXPECT_TRUE(at::isfinite(kept.tensors.at("parameter.images")).all().item<bool>());
  EXPECT_FALSE(std::filesystem::exists(folder / "run" / "distilled.safetensors"));
}

TEST(Distill, StartsFromABundle) {
  TempFolder folder;
  const auto first = ToyRun(dm()).run(folder / "a");
  ToyRun second(dm(), 0);
  second.options.init_from = (folder / "a" / "distilled.safetensors").string();
  EXPECT_TRUE(second.run(folder / "b").bundle.images.equal(first.bundle.images));
  ToyRun third(dm(), 0);
  third.options.init_from = second.options.init_from;
  third.options.images_per_class = "3";
  tests::expect_error<StateError>([&] { third.run(folder / "c"); }, {"it holds", "3"});
}

TEST(Distill, ClampedPixelsStayBetweenBlackAndWhite) {
  TempFolder folder;
  const at::Tensor pixel = at::zeros({1, 3, 1, 1}, at::kByte);
  for (const bool clamped : {false, true}) {
    ToyRun toy(dm());
    toy.options.initialisation = "noise";
    toy.options.clamp_pixels = clamped;
    toy.options.image_learning_rate = 10;
    const at::Tensor images = toy.run(folder / (clamped ? "a" : "b")).bundle.images;
    const at::Tensor low = toy.data.preprocessing.apply(pixel, at::kCPU),
                     high = toy.data.preprocessing.apply(pixel + 255, at::kCPU);
    EXPECT_EQ((images >= low).logical_and(images <= high).all().item<bool>(), clamped);
  }
}

TEST(Distill, DoesNotPutPathsIntoTheResult) {
  TempFolder folder;
  ToyRun(dm()).run(folder / "run");
  EXPECT_EQ(read_file(folder / "run" / "distilled.safetensors").find(folder.path().string()),
            std::string::npos);
}

}  // namespace
}  // namespace retort::methods
