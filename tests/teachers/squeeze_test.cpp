// Teachers' training: resuming, the probe, BatchNorm recalibration.
#include "teachers/squeeze.h"

#include <gtest/gtest.h>

#include "core/file.h"
#include "methods/toy.h"
#include "retort/core/error.h"
#include "support/golden.h"
#include "support/support.h"
#include "teachers/probe.h"
#include "teachers/squeeze_objective.h"

namespace retort::teachers {
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
  toy.options.statistics = "recalibrated";
  const Teacher teacher = squeeze(toy.input(), folder.path()).teacher;
  EXPECT_TRUE(at::equal(teacher.theta, toy.network->initial(RandomStream(0, "squeeze.initial"))));
  EXPECT_EQ(teacher.statistics, "recalibrated");
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

/// The golden network: a block of two channels, whose first 60 parameters both objectives move.
constexpr int64_t kParameters = 87, kMoved = 60;

at::Tensor numbers_of(const nlohmann::json& from, const char* key, int64_t count) {
  return retort::tests::golden_tensor(from.at(key), {count});
}

std::vector<at::Tensor> views_of(const nlohmann::json& from) {
  std::vector<at::Tensor> views;
  for (const nlohmann::json& view : from.at("views"))
    views.push_back(retort::tests::golden_tensor(view, {4, 3, 4, 4}));
  return views;
}

double gap(const at::Tensor& found, const at::Tensor& wanted) {
  return (found - wanted).abs().max().item<double>();
}

TEST(Moco, StepsAsItsAlgorithmSays) {
  const nlohmann::json golden = retort::tests::golden("squeeze").at("moco");
  const auto network = nets::make_network("convnet-w2-d1-bn", {3, 4, 4, 3});
  SqueezeOptions options;
  options.objective = "moco";
  options.projection = 4;
  options.queue = 6;
  options.splits = 2;
  options.key_momentum = 0.9;
  options.temperature = 0.2;
  const auto objective = make_squeeze_objective(options, *network, at::kCPU);
  const nlohmann::json& start = golden.at("start");
  const int64_t head = static_cast<int64_t>(start.at("head").size());
  objective->restore({{"key_theta", numbers_of(start, "key_theta", kParameters)},
                      {"key_head", numbers_of(start, "key_head", head)},
                      {"queue", retort::tests::golden_tensor(start.at("queue"), {6, 4})},
                      {"queue_place", at::scalar_tensor(4, at::kLong)}});
  at::Tensor state = network->initial_state().to(at::kDouble);
  for (size_t i = 0; i < 2; ++i) {
    const nlohmann::json& wanted = golden.at("steps").at(i);
    const double scale = 1 + 0.1 * static_cast<double>(i);
    const Learner now{scale * numbers_of(start, "theta", kParameters), state,
                      scale * numbers_of(start, "head", head)};
    const LearnerStep found =
        objective->step(now, views_of(wanted), {}, RandomStream(9 + i, "test.step"));
    EXPECT_NEAR(found.loss.item<double>(), wanted.at("loss").get<double>(), 1e-8);
    EXPECT_LT(gap(found.theta, numbers_of(wanted, "theta", kParameters)), 1e-8);
    EXPECT_LT(gap(found.head, numbers_of(wanted, "head", head)), 1e-8);
    EXPECT_LT(gap(found.state, numbers_of(wanted, "state", 4)), 1e-8);
    const TensorMap memory = objective->memory();
    EXPECT_LT(gap(memory.at("queue").flatten(), numbers_of(wanted, "queue", 24)), 1e-8);
    EXPECT_EQ(memory.at("queue_place").item<int64_t>(), wanted.at("place").get<int64_t>());
    EXPECT_LT(
        gap(memory.at("key_theta").narrow(0, 0, kMoved), numbers_of(wanted, "key_theta", kMoved)),
        1e-8);
    EXPECT_LT(gap(memory.at("key_head"), numbers_of(wanted, "key_head", head)), 1e-8);
    state = found.state;
  }
}

TEST(SimSiam, StepsAsItsAlgorithmSays) {
  const nlohmann::json golden = retort::tests::golden("squeeze").at("simsiam");
  const auto network = nets::make_network("convnet-w2-d1-bn", {3, 4, 4, 3});
  SqueezeOptions options;
  options.objective = "simsiam";
  options.projection = 8;
  const auto objective = make_squeeze_objective(options, *network, at::kCPU);
  const int64_t head = static_cast<int64_t>(golden.at("head").size());
  const Learner now{numbers_of(golden, "theta", kParameters),
                    network->initial_state().to(at::kDouble), numbers_of(golden, "head", head)};
  const LearnerStep found =
      objective->step(now, views_of(golden), {}, RandomStream(9, "test.step"));
  EXPECT_NEAR(found.loss.item<double>(), golden.at("loss").get<double>(), 1e-8);
  EXPECT_LT(gap(found.theta, numbers_of(golden, "gradient", kParameters)), 1e-8);
  EXPECT_LT(gap(found.head, numbers_of(golden, "head_gradient", head)), 1e-8);
  EXPECT_LT(gap(found.state, numbers_of(golden, "state", 4)), 1e-8);
}

TEST(Probe, LeavesTheBackboneAndItsStatisticsAsTheyAre) {
  const Toy toy;
  const at::Tensor theta = toy.network->initial(RandomStream(0, "test.probe"));
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

TEST(BatchNormRecalibration, AreThoseOfTheWholeBatch) {
  const Toy toy;
  const at::Tensor theta = toy.network->initial(RandomStream(0, "test.statistics"));
  const at::Tensor images = toy.data.train.images;
  const at::Tensor found =
      recalibrated_batchnorm(*toy.network, theta, images, toy.data.preprocessing, images.size(0));
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
}  // namespace retort::teachers
