// Statistics of teachers: spreads by hand, the gauge, the verdict's rules.
#include "studies/statistics_study.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "losses/statistics.h"
#include "methods/toy.h"

namespace retort::studies {
namespace {

teachers::Teacher toy_teacher(const data::Dataset& data, const std::string& network) {
  teachers::Teacher teacher;
  teacher.network = network;
  teacher.shape = {data.channels, data.height, data.width, data.classes()};
  const auto built = teacher.build();
  teacher.theta = built->initial(RandomStream(2, "test.teacher"));
  teacher.state = built->initial_state();
  teacher.preprocessing = data.preprocessing;
  teacher.class_names = data.class_names;
  return recalibrated(teacher, data.train.images, data.train.size());
}

TEST(SpreadOf, IsWorkedOutByHand) {
  const Spread spread = spread_of(at::tensor({1.0, std::exp(2.0)}, at::kDouble));
  EXPECT_NEAR(spread.log_deviation, 1, 1e-12);  // logarithms 0 and 2
  EXPECT_NEAR(spread.gaussian_entropy, 0.5 * std::log(2 * std::numbers::pi * std::numbers::e) + 0.5,
              1e-12);
  const double mean = (1 + std::exp(2.0)) / 2;
  EXPECT_NEAR(spread.variation, (std::exp(2.0) - 1) / 2 / mean, 1e-12);
  const double p = 1 / (1 + std::exp(2.0));
  EXPECT_NEAR(spread.entropy, -(p * std::log(p) + (1 - p) * std::log(1 - p)) / std::log(2.0),
              1e-12);
  EXPECT_NEAR(spread_of(at::full({7}, 3.0)).entropy, 1, 1e-12);
}

// The gauge: the same function, another raw distance, the same scale-free one.
TEST(Rescaled, ChangesRawDistancesAndNothingElse) {
  const data::Dataset data = retort::tests::toy_dataset();
  for (const char* name : {"convnet-w4-d2-bn", "resnet18-bn-w4"}) {
    const teachers::Teacher teacher = toy_teacher(data, name), large = rescaled(teacher, 3);
    const auto network = teacher.build();
    const at::Tensor images = data.preprocessing.apply(data.train.images, at::kCPU);
    EXPECT_LT((network->predict(teacher.theta, teacher.state, images) -
               network->predict(large.theta, large.state, images))
                  .abs()
                  .max()
                  .item<double>(),
              1e-4)
        << name;
    at::Tensor noise = at::empty_like(images);
    RandomStream(0, "test.noise").fill_normal(noise.data_ptr<float>(), noise.numel());
    const Signal before = signal_of(teacher, *network, noise, data.train.labels),
                 after = signal_of(large, *network, noise, data.train.labels);
    EXPECT_NEAR(after.scale_free / before.scale_free, 1, 2e-3) << name;
    EXPECT_NEAR(after.scale_free_gradient / before.scale_free_gradient, 1, 2e-3) << name;
    // Means grow 3 times, variances 9 times.
    EXPECT_GT(after.raw, 3 * before.raw);
    EXPECT_LT(after.raw, 9.01 * before.raw);
    const auto own = layer_statistics(teacher), other = layer_statistics(large);
    for (size_t l = 0; l < own.size(); ++l) {
      EXPECT_NEAR(other[l].variance.median / own[l].variance.median, 9, 0.1);
      EXPECT_NEAR(other[l].response->median / own[l].response->median, 1, 1e-2);
      EXPECT_NEAR(other[l].mean_deviation, own[l].mean_deviation, 1e-3);
    }
  }
}

TEST(Signal, IsNothingAtTheBatchThatTheStatisticsAreOf) {
  const data::Dataset data = retort::tests::toy_dataset();
  teachers::Teacher teacher = toy_teacher(data, "convnet-w4-d2-bn");
  const auto network = teacher.build();
  const at::Tensor images = data.preprocessing.apply(data.train.images, at::kCPU);
  // Biased moments in place of the unbiased running ones, and the layers' own normalisation is then
  // that of the batch.
  for (const teachers::NormLayer& layer : teachers::norm_layers(*network)) {
    const at::Tensor input =
        network
            ->observe({teacher.theta, teacher.state, images, {}, nets::NormMode::kFrozen},
                      {layer.name + ".input"})
            .taps.at(layer.name + ".input");
    const losses::Moments moments = losses::moments(input);
    teacher.state.narrow(0, layer.mean, layer.channels).copy_(moments.mean);
    teacher.state.narrow(0, layer.variance, layer.channels).copy_(moments.variance);
  }
  const Signal signal = signal_of(teacher, *network, images, data.train.labels);
  EXPECT_NEAR(signal.raw, 0, 1e-4);
  EXPECT_NEAR(signal.scale_free, 0, 1e-4);
}

Measured measured(const std::string& network, const std::string& objective, double spread,
                  double gradient) {
  Measured found;
  found.network = network;
  found.objective = objective;
  found.epochs = 1;
  found.parameters = network == "small" ? 10 : 20;
  for (int l = 0; l < 3; ++l) {
    LayerStatistics layer;
    layer.variance.log_deviation = spread;
    layer.response = layer.variance;
    found.layers.push_back(layer);
  }
  found.noise.raw_gradient = gradient;
  found.noise.scale_free_gradient = 1;
  return found;
}

TEST(Judge, FollowsTheRules) {
  const Verdict verdict =
      judge({measured("small", "supervised", 1, 1), measured("small", "moco", 1.1, 2),
             measured("large", "supervised", 1, 1), measured("large", "simsiam", 1.5, 3)});
  EXPECT_EQ(verdict.layers, 6);
  EXPECT_EQ(verdict.spread_up, 6);
  EXPECT_NEAR(verdict.spread_chance, 1.0 / 64, 1e-12);
  EXPECT_TRUE(verdict.spread);  // all layers up at both sizes, and the ratio grows
  EXPECT_TRUE(verdict.signal_raw);
  EXPECT_FALSE(verdict.signal_scale_free);
  const Verdict falling =
      judge({measured("small", "supervised", 1, 1), measured("small", "moco", 1.5, 2),
             measured("large", "supervised", 1, 1), measured("large", "moco", 1.1, 0.5)});
  EXPECT_FALSE(falling.spread);
  EXPECT_FALSE(falling.signal_raw);
}

TEST(Judge, SaysWhereNothingCanBeCompared) {
  EXPECT_NE(judge({measured("small", "supervised", 1, 1)}).lines().front().find("No verdict"),
            std::string::npos);
}

}  // namespace
}  // namespace retort::studies
