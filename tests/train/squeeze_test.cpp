// Teachers' training: resuming, the probe, clean statistics.
#include "retort/train/squeeze.h"

#include <gtest/gtest.h>

#include "methods/toy.h"
#include "retort/core/error.h"
#include "retort/core/file.h"
#include "support/support.h"
#include "train/probe.h"

namespace retort::train {
namespace {

using retort::tests::read_text;
using retort::tests::TempFolder;

/// Data, network and options that an input refers to.
struct Toy {
  data::Dataset data = retort::tests::toy_dataset();
  std::unique_ptr<nets::Network> network =
      nets::make_network("convnet-w4-d2-bn", {3, 8, 8, data.classes()});
  SqueezeOptions options;
  StopFlag stop;

  explicit Toy(const std::string& objective = "supervised") {
    options.network = "convnet-w4-d2-bn";
    options.objective = objective;
    options.epochs = 4;
    options.batch_size = 12;
    options.queue = 24;
    options.projection = 8;
    options.splits = 2;
    options.probe_epochs = 3;
  }
  SqueezeInput input() const {
    return {data, *network, options, at::Device(at::kCPU), 0, "", {}, &stop};
  }
};

class Objectives : public testing::TestWithParam<const char*> {};

TEST_P(Objectives, StoppedAndGoneOnWithEndInTheSameBytes) {
  const TempFolder folder;
  Toy toy(GetParam());
  toy.options.keep_every = 2;
  const SqueezeOutcome whole = squeeze(toy.input(), folder / "whole");
  EXPECT_TRUE(whole.made);
  EXPECT_EQ(whole.epochs, 4);
  Toy stopped(GetParam());
  stopped.options.keep_every = 2;
  std::filesystem::create_directories(folder / "parts");
  {
    struct Buffer : std::streambuf {
      explicit Buffer(StopFlag& f) : flag(f) {}
      int overflow(int c) override { return c; }
      std::streamsize xsputn(const char*, std::streamsize n) override {
        flag.request();
        return n;
      }
      StopFlag& flag;
    } buffer(stopped.stop);
    std::ostream out(&buffer);
    SqueezeInput input = stopped.input();
    input.progress = {&out, true, 80};  // its first drawing asks for a stop
    EXPECT_TRUE(squeeze(input, folder / "parts").stopped);
  }
  EXPECT_FALSE(std::filesystem::exists(teacher_path(folder / "parts")));
  Toy again(GetParam());
  again.options.keep_every = 2;
  EXPECT_TRUE(squeeze(again.input(), folder / "parts").made);
  for (const char* name : {"teacher.safetensors", "teacher_0002.safetensors"})
    EXPECT_EQ(read_text(folder / "whole" / name), read_text(folder / "parts" / name)) << name;
  EXPECT_FALSE(squeeze(again.input(), folder / "parts").made);
}

INSTANTIATE_TEST_SUITE_P(Squeeze, Objectives, testing::Values("supervised", "moco", "simsiam"));

TEST(Squeeze, LearnsTheToySet) {
  const TempFolder folder;
  Toy toy;
  toy.options.epochs = 20;
  EXPECT_GT(squeeze(toy.input(), folder.path()).teacher.validation_accuracy, 0.9);
}

TEST(Squeeze, OfNoEpochsIsTheInitialisationWithMeasuredStatistics) {
  const TempFolder folder;
  Toy toy;
  toy.options.epochs = 0;
  toy.options.statistics = "clean";
  const Teacher teacher = squeeze(toy.input(), folder.path()).teacher;
  EXPECT_TRUE(at::equal(teacher.theta, toy.network->initial(Stream(0, "squeeze.initial"))));
  EXPECT_EQ(teacher.statistics, "clean");
  EXPECT_FALSE(at::equal(teacher.state, toy.network->initial_state()));
}

TEST(Squeeze, RefusesWhitenedDataAndAQueueBelowTheBatch) {
  Toy toy("moco");
  toy.options.queue = 8;
  retort::tests::expect_error<ConfigError>([&] { check_squeeze(toy.input()); }, {"--queue 8"});
  toy.options.queue = 24;
  toy.data.preprocessing = data::fit_zca(toy.data.train.images, 0.1);
  retort::tests::expect_error<ConfigError>([&] { check_squeeze(toy.input()); }, {"zca"});
}

TEST(Probe, LeavesTheBackboneAndItsStatisticsAsTheyAre) {
  const Toy toy;
  const at::Tensor theta = toy.network->initial(Stream(0, "test.probe"));
  const at::Tensor state = toy.network->initial_state();
  const at::Tensor theta_before = theta.clone(), state_before = state.clone();
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < toy.data.train.size(); ++i) rows.push_back(i);
  const at::Tensor whole = probed(*toy.network, theta, state, toy.data, rows, {}, at::kCPU);
  EXPECT_TRUE(at::equal(theta, theta_before));
  EXPECT_TRUE(at::equal(state, state_before));
  const int64_t backbone = toy.network->parameters().find("classifier.weight").offset;
  EXPECT_TRUE(at::equal(whole.narrow(0, 0, backbone), theta.narrow(0, 0, backbone)));
  EXPECT_FALSE(at::equal(whole, theta));
}

TEST(CleanStatistics, AreThoseOfTheWholeBatch) {
  const Toy toy;
  const at::Tensor theta = toy.network->initial(Stream(0, "test.statistics"));
  const at::Tensor images = toy.data.train.images;
  const at::Tensor found =
      clean_statistics(*toy.network, theta, images, toy.data.preprocessing, images.size(0));
  // From zeros a training pass leaves a tenth of the batch's.
  const nets::Gradient pass = toy.network->gradient({theta,
                                                     at::zeros_like(found),
                                                     toy.data.preprocessing.apply(images, at::kCPU),
                                                     {},
                                                     nets::NormMode::kUpdating},
                                                    {toy.data.train.labels});
  EXPECT_TRUE(at::allclose(0.1 * found, pass.state, 1e-4, 1e-6));
}

}  // namespace
}  // namespace retort::train
