// A probe is a network of one linear layer, trained by the one loop on features in place of images.
#include "teachers/probe.h"

#include "nets/layer_builder.h"
#include "retort/data/batch_source.h"
#include "retort/train/trainer.h"

namespace retort::teachers {
namespace {

constexpr int64_t kCachedBytes = int64_t{64} << 20;

/// Features [n, F, 1, 1] of training rows. Few are kept, more are computed when they are wanted:
/// a packed set may be larger than memory.
class Features : public data::BatchSource {
 public:
  Features(const nets::Network& network, const at::Tensor& theta, const at::Tensor& state,
           std::unique_ptr<data::BatchSource> images)
      : network_(network), theta_(theta), state_(state), images_(std::move(images)) {
    const int64_t rows = images_->size();
    if (rows * network.feature_size() * int64_t{sizeof(float)} > kCachedBytes) return;
    constexpr int64_t kChunk = 512;
    std::vector<at::Tensor> features, labels;
    for (int64_t begin = 0; begin < rows; begin += kChunk) {
      std::vector<int64_t> wanted;
      for (int64_t i = begin; i < std::min(begin + kChunk, rows); ++i) wanted.push_back(i);
      const data::Batch batch = computed(wanted);
      features.push_back(batch.images);
      labels.push_back(batch.targets);
    }
    cached_ = data::tensor_source(at::cat(features), at::cat(labels));
  }

  int64_t size() const override { return images_->size(); }
  data::Batch get(const std::vector<int64_t>& indices) const override {
    return cached_ ? cached_->get(indices) : computed(indices);
  }

 private:
  data::Batch computed(const std::vector<int64_t>& indices) const {
    const data::Batch batch = images_->get(indices);
    const nets::Observation seen =
        network_.observe({theta_, state_, batch.images, {}, nets::NormMode::kFrozen}, {"features"});
    return {seen.taps.at("features").unsqueeze(2).unsqueeze(3), batch.targets};
  }

  const nets::Network& network_;
  const at::Tensor theta_, state_;
  std::unique_ptr<data::BatchSource> images_, cached_;
};

}  // namespace

at::Tensor probed(const nets::Network& network, const at::Tensor& theta, const at::Tensor& state,
                  const data::Dataset& data, const std::vector<int64_t>& rows,
                  const ProbeOptions& options, at::Device device) {
  const int64_t classes = network.shape().classes;
  const nets::Network probe("linear probe",
                            [classes](nets::LayerBuilder& f, const at::Tensor& x) {
                              return f.linear("classifier", f.features(x), classes);
                            },
                            {network.feature_size(), 1, 1, classes});
  const Features features(network, theta, state,
                          data::real_source(data.train, data.preprocessing, device, rows));
  train::TrainOptions training;
  training.optimizer = "adamw";
  training.learning_rate = options.learning_rate;
  training.weight_decay = 0;
  training.schedule = "cosine";
  training.epochs = options.epochs;
  training.batch_size = options.batch_size;
  const train::ModelState trained =
      train::train(probe, features, training, {options.seed, "squeeze.probe", 0}, device);
  at::Tensor whole = theta.clone();
  for (const nets::Slot& slot : probe.parameters().slots) {
    const nets::Slot& place = network.parameters().find(slot.name);
    whole.narrow(0, place.offset, place.count)
        .copy_(trained.theta.narrow(0, slot.offset, slot.count));
  }
  return whole;
}

}  // namespace retort::teachers
